"""What a run learns from, synthetic or a data set, in one shape: labels, faces, facts for the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lnlattennet import data as datasets
from lnlattennet._command import printable
from lnlattennet._console import stderr
from lnlattennet.data._prepare import prepared_faces
from lnlattennet.data._protocols import Partition, fingerprint, partitions, select_fold
from lnlattennet.data._records import FaceData
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import fill_split
from lnlattennet.errors import DataError
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._options import TrainingOptions

Fill = Callable[[str, Preprocessing, NDArray[np.uint8]], None]
RENDERED_LICENCE = "Trained on faces rendered by this project (Apache-2.0); no photograph was used."


@dataclass(frozen=True)
class Source:
    """The data of one run.

    Attributes:
        name: of the protocol or fold.
        class_names: expressions in the order of the labels.
        labels: train, val and usually test -> int64 [N].
        fill: writes a split's faces, uint8 [N, S, S, 3], by a recipe.
        license: note for the checkpoint.
        facts: for the checkpoint's provenance.
        fingerprint: another one if any face is in another split, has another label or is no longer there.
    """

    name: str
    class_names: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    fill: Fill
    license: str
    facts: dict[str, Any]
    fingerprint: str

    @property
    def judged_on(self) -> str:
        """The split that the result is judged on: test, or val where there is none."""
        return "test" if "test" in self.labels else "val"


def open_sources(options: TrainingOptions) -> list[Source]:
    """Return one source, or one for each fold with ``--fold all``.

    Raises:
        DataError: the data set cannot be used as the options want.
        UsageError: there is no such fold.
    """
    if options.data == SYNTHETIC:
        return [_synthetic(options)]
    data = datasets.load_dataset(Path(options.data), options.format)
    if len(data.class_names) < 2:
        raise DataError(f"{printable(data.root)} has {len(data.class_names)} class; at least 2 are needed")
    found = partitions(data, options.folds, options.seed)
    if options.fold is not None:
        found = [select_fold(found, options.fold)]
    return [_data_set(data, partition, options.workers) for partition in found]


def _synthetic(options: TrainingOptions) -> Source:
    def fill(split: str, recipe: Preprocessing, out: NDArray[np.uint8]) -> None:
        fill_split(split, out, seed=options.seed, workers=options.workers)

    labels = {name: np.arange(count) % len(EXPRESSIONS) for name, count in options.images.items()}
    # Everything that decides these faces is in the run's settings.
    return Source(SYNTHETIC, EXPRESSIONS, labels, fill, RENDERED_LICENCE, {"data": SYNTHETIC}, SYNTHETIC)


def _data_set(data: FaceData, partition: Partition, workers: int) -> Source:
    name = printable(data.root.resolve().name)
    parts = {split: data.select(indices.tolist()) for split, indices in partition.splits.items()}

    def fill(split: str, recipe: Preprocessing, out: NDArray[np.uint8]) -> None:
        _prepare(parts[split], recipe, out, workers)

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
    return Source(partition.name, data.class_names, labels, fill, license_note, facts, digest)


def _prepare(data: FaceData, recipe: Preprocessing, out: NDArray[np.uint8], workers: int) -> None:
    start = 0
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("preparing faces", total=len(data))
        for faces, _ in prepared_faces(data, recipe, workers):
            out[start : start + len(faces)] = faces
            start += len(faces)
            progress.update(task, completed=start)


def _counts(part: FaceData) -> dict[str, int]:
    counts = np.bincount(part.labels(), minlength=len(part.class_names))
    return dict(zip(part.class_names, counts.tolist(), strict=True))
