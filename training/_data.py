"""Training data of a run, rendered or of a data set: labels, faces, and facts for the provenance."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet._console import progress
from lnlattennet.data._duplicates import without_duplicates
from lnlattennet.data._format import DatasetFormat
from lnlattennet.data._prepare import fill_prepared
from lnlattennet.data._protocols import Partition, fingerprint, partitions, select_fold
from lnlattennet.data._records import FaceData
from lnlattennet.data._registry import FORMATS, load_dataset
from lnlattennet.data.preparation._framing import face_preprocessing, framing_notes
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import fill_split
from lnlattennet.errors import DataError
from lnlattennet.model._class_names import class_names_problem
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._options import TrainingOptions

_log = logging.getLogger(__name__)
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
        preprocessing: the checkpoint's.
        preparation: how the faces were made, once they have been; None for rendered ones.
    """

    name: str
    class_names: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    training_targets: NDArray[Any]
    fill: Fill
    license: str
    facts: dict[str, Any]
    fingerprint: str
    preprocessing: Preprocessing
    preparation: PreparationReport | None = None

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
    data = load_dataset(Path(options.data), options.format, options.targets, options.faces)
    if len(data.class_names) < 2:
        raise DataError(f"{printable(data.root)} has {len(data.class_names)} class; at least 2 are needed")
    problem = class_names_problem(data.class_names)
    if problem:
        raise DataError(f"{printable(data.root)}: {problem}; rename its folder")
    chosen = partitions(data, options.folds, options.seed, options.holdout)
    if options.fold is not None:
        chosen = [select_fold(chosen, options.fold)]
    return [_data_set(data, partition, options) for partition in chosen]


def _published_digest(data: FaceData, partition: Partition, options: TrainingOptions) -> str:
    """Return the digest by which evaluations know these faces: labels as published, no face left out."""
    if options.targets == "majority":
        return fingerprint(data, partition)
    published = FORMATS[data.format].load(data.root)
    [official] = partitions(published, None, options.seed)
    return fingerprint(published, official)


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
        preprocessing=_preprocessing(options),
    )


def _data_set(data: FaceData, partition: Partition, options: TrainingOptions) -> TrainingData:
    stated_digest = _published_digest(data, partition, options)
    if options.drop_duplicates:
        with progress("looking for copies", len(data) + len(data.undecided)) as advance:
            partition = without_duplicates(data, partition, options.workers, advance)
        _log.info("%s", partition.notes[-1])
    parts = {split: data.select(indices.tolist()) for split, indices in partition.splits.items()}

    preparation = PreparationReport()

    def fill(split: str, preprocessing: Preprocessing, out: NDArray[np.uint8]) -> None:
        part, report = parts[split], PreparationReport()
        with progress("preparing faces", len(part)) as advance:
            fill_prepared(out, part, preprocessing, options.workers, advance, report)
        for note in report.notes():
            serious = report.without_face or report.mostly_equalized
            _log.log(logging.WARNING if serious else logging.INFO, "%s: %s", split, note)
        preparation.merge(report)

    preprocessing = _preprocessing(options, data)
    framing = framing_notes(data, preprocessing, training=True)
    for note in framing:
        _log.warning("%s", note)
    facts = {
        "data": printable(data.root.resolve().name),
        "format": data.format,
        **({"origin": data.origin} if data.origin else {}),
        "protocol": partition.name,
        "counts": {split: _counts(part) for split, part in parts.items()},
        "fingerprint": stated_digest,
        "notes": [*data.notes, *partition.notes, *framing],
    }
    labels = {split: part.labels() for split, part in parts.items()}
    with_shares = options.targets == "probability"
    return TrainingData(
        name=partition.name,
        class_names=data.class_names,
        labels=labels,
        training_targets=parts["train"].targets() if with_shares else labels["train"],
        fill=fill,
        license=_license_note(FORMATS.get(data.origin, FORMATS[data.format])),
        facts=facts,
        fingerprint=fingerprint(data, partition),
        preprocessing=preprocessing,
        preparation=preparation,
    )


def _preprocessing(options: TrainingOptions, data: FaceData | None = None) -> Preprocessing:
    return face_preprocessing(
        options.network.image_size, data, options.face_finder, options.face_margin, options.face_alignment
    )


def _license_note(format: DatasetFormat) -> str:
    """Return the note for the checkpoint, without the data set's folder: servers tell it to everyone."""
    if not format.license:
        return (
            f"Trained on a data set of the format {format.name}. The weights inherit the license of that "
            "data set: read it before you use or pass them on."
        )
    return f"Trained on {format.tree.title}: {format.license}. The weights inherit this."


def _counts(part: FaceData) -> dict[str, int]:
    counts = np.bincount(part.labels(), minlength=len(part.class_names))
    return dict(zip(part.class_names, counts.tolist(), strict=True))
