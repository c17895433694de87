"""Training data of a run, rendered or of a data set: labels, faces, and facts for the provenance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lnlattennet._command import printable
from lnlattennet._console import stderr
from lnlattennet.data._duplicates import without_duplicates
from lnlattennet.data._prepare import fill_prepared
from lnlattennet.data._protocols import Partition, fingerprint, partitions, select_fold
from lnlattennet.data._records import FaceData
from lnlattennet.data._registry import load_dataset
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import fill_split
from lnlattennet.errors import DataError
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._options import TrainingOptions

Fill = Callable[[str, Preprocessing, NDArray[np.uint8]], None]
RENDERED_LICENSE = "Trained on faces rendered by this project (Apache-2.0); no photograph was used."


@dataclass(frozen=True)
class TrainingData:
    """The data of one run.

    Attributes:
        name: name of the protocol or fold.
        class_names: expressions in the order of the labels.
        labels: train, val and usually test -> int64 [N].
        training_targets: what training faces are fitted to: their labels, or class probabilities float32
            [N, classes].
        fill: writes the faces of a split, uint8 [N, S, S, 3], with a preprocessing.
        license: note for the checkpoint.
        facts: entries for the checkpoint's provenance.
        fingerprint: digest of the faces, their labels and their splits.
    """

    name: str
    class_names: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    training_targets: NDArray[Any]
    fill: Fill
    license: str
    facts: dict[str, Any]
    fingerprint: str

    @property
    def evaluation_split(self) -> str:
        """Split that the result is evaluated on: test, or val if there is none."""
        return "test" if "test" in self.labels else "val"


def open_training_data(options: TrainingOptions) -> list[TrainingData]:
    """Return one element, or one for each fold with ``--fold all``.

    Raises:
        DataError: the data set cannot be used as the options want.
        UsageError: there is no such fold.
    """
    if options.data == SYNTHETIC:
        return [_synthetic(options)]
    data = load_dataset(Path(options.data), options.format, options.targets)
    if len(data.class_names) < 2:
        raise DataError(f"{printable(data.root)} has {len(data.class_names)} class; at least 2 are needed")
    chosen = partitions(data, options.folds, options.seed)
    if options.fold is not None:
        chosen = [select_fold(chosen, options.fold)]
    if options.drop_duplicates:
        chosen = [_without_duplicates(data, partition, options.workers) for partition in chosen]
    return [_data_set(data, partition, options) for partition in chosen]


def _synthetic(options: TrainingOptions) -> TrainingData:
    def fill(split: str, preprocessing: Preprocessing, out: NDArray[np.uint8]) -> None:
        fill_split(split, out, seed=options.seed, workers=options.workers)

    labels = {name: np.arange(count) % len(EXPRESSIONS) for name, count in options.images.items()}
    # Everything that decides these faces is in the run's settings.
    return TrainingData(
        name=SYNTHETIC,
        class_names=EXPRESSIONS,
        labels=labels,
        training_targets=labels["train"],
        fill=fill,
        license=RENDERED_LICENSE,
        facts={"data": SYNTHETIC},
        fingerprint=SYNTHETIC,
    )


def _without_duplicates(data: FaceData, partition: Partition, workers: int) -> Partition:
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("comparing images", total=len(data))
        return without_duplicates(data, partition, workers, lambda count: progress.advance(task, count))


def _data_set(data: FaceData, partition: Partition, options: TrainingOptions) -> TrainingData:
    name = printable(data.root.resolve().name)
    parts = {split: data.select(indices.tolist()) for split, indices in partition.splits.items()}

    def fill(split: str, preprocessing: Preprocessing, out: NDArray[np.uint8]) -> None:
        part = parts[split]
        with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
            task = progress.add_task("preparing faces", total=len(part))
            fill_prepared(
                out, part, preprocessing, options.workers, lambda count: progress.advance(task, count)
            )

    digest = fingerprint(data, partition)
    license_note = (
        f"Trained on the data set {name!r} (format {data.format}). The weights inherit "
        "the license of that data set: read it before you use or pass them on."
    )
    facts = {
        "data": name,
        "format": data.format,
        "protocol": partition.name,
        "counts": {split: _counts(part) for split, part in parts.items()},
        "fingerprint": digest,
        "notes": [*data.notes, *partition.notes],
    }
    labels = {split: part.labels() for split, part in parts.items()}
    with_shares = options.targets == "probability"
    return TrainingData(
        name=partition.name,
        class_names=data.class_names,
        labels=labels,
        training_targets=parts["train"].targets() if with_shares else labels["train"],
        fill=fill,
        license=license_note,
        facts=facts,
        fingerprint=digest,
    )


def _counts(part: FaceData) -> dict[str, int]:
    counts = np.bincount(part.labels(), minlength=len(part.class_names))
    return dict(zip(part.class_names, counts.tolist(), strict=True))
