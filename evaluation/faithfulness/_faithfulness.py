"""Faithfulness of a checkpoint's readings on labeled faces: document, and files of it."""

from __future__ import annotations

import csv
import datetime
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet._atomic import output_errors, replace_file
from lnlattennet._command import printable
from lnlattennet._statistics import mean_interval
from lnlattennet._version import __version__
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.data import load_dataset
from lnlattennet.data._records import FacesOption
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._class_match import ClassMatch, match_classes
from lnlattennet.evaluation._data import EvaluationData, dataset_faces, rendered_faces
from lnlattennet.evaluation._predictions import evaluated_chunks
from lnlattennet.evaluation.explain._data import SYNTHETIC_FACES
from lnlattennet.evaluation.faithfulness._covering import FILLS, CoveredPredictor
from lnlattennet.evaluation.faithfulness._figures import area, reading_figures
from lnlattennet.evaluation.faithfulness._measure import RANDOM_ORDERS, Measurements, Steps, measure
from lnlattennet.evaluation.predictors._base import Faces
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint
from lnlattennet.model._full_float32 import full_float32
from lnlattennet.model._provenance import SYNTHETIC

_EXAMPLES = 7
"""Faces that are drawn, evenly spread over those that are measured."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FaithfulnessOptions:
    """Options of one measurement.

    Attributes:
        checkpoint: checkpoint of the network.
        data: path of a data set, or "synthetic".
        format: layout of the data set; None to detect it.
        faces: how faces are made from its images: auto, crop or as-is.
        split: part of the data set; None for its default.
        count: number of faces, evenly spread over the split; None for all, or 350 synthetic ones.
        common_classes: use only the faces of classes that both model and data have.
        allow_pickle: accept a pickled training checkpoint.
        seed: seed of rendered faces and random orders.
        command: command line, for the record.
    """

    checkpoint: Path
    data: str
    format: str | None = None
    faces: FacesOption = "auto"
    split: str | None = None
    count: int | None = None
    common_classes: bool = False
    allow_pickle: bool = False
    seed: int = 0
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Faithfulness:
    """Result of a measurement.

    Attributes:
        document: its figures, as plain JSON values.
        faces: names of the faces.
        steps: numbers of covered regions.
        measured: figures per face.
        examples: indices of the faces that are drawn.
        example_faces: those faces, RGB [n, S, S, 3].
        example_names: their classes.
    """

    document: dict[str, Any]
    faces: tuple[str, ...]
    steps: Steps
    measured: Measurements
    examples: NDArray[np.int64]
    example_faces: Faces
    example_names: tuple[str, ...]


def measure_faithfulness(options: FaithfulnessOptions) -> Faithfulness:
    """Cover regions of every face in the order of every reading, and compare the answers.

    Raises:
        UsageError: the options break a rule, or the network has fewer than 4 regions.
        CheckpointError, DataError, ImageError: an input cannot be used.
    """
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    info = checkpoint.info
    steps = Steps.of(info.config.regions)
    data = _load_data(options, info)
    match = match_classes(info.class_names, data.class_names, common_only=options.common_classes)
    labels = _chosen_labels(match.label_of[data.labels], options.count)
    kept = np.flatnonzero(labels >= 0)
    if not kept.size:
        raise UsageError(f"{data.name}, split {data.split}: no face of {', '.join(match.class_names)}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = checkpoint.network().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictor = CoveredPredictor(network, info.preprocessing, torch.tensor(match.columns, device=device))
    _log.info("measuring the faithfulness of %s on %d faces of %s", options.checkpoint, len(kept), data.name)
    examples = np.unique(np.linspace(0, len(kept) - 1, _EXAMPLES).round().astype(np.int64))
    drawn: list[Faces] = []

    def chunks() -> Iterator[tuple[Faces, NDArray[np.int64]]]:
        for indices, faces in evaluated_chunks(data, labels, "covering regions"):
            drawn.append(faces[np.isin(indices, kept[examples])])
            yield faces, labels[indices]

    with full_float32():
        measured = measure(predictor, chunks(), options.seed)
    return Faithfulness(
        _document(options, device, data, match, labels[kept], steps, measured),
        tuple(data.faces[index] for index in kept),
        steps,
        measured,
        examples,
        np.concatenate(drawn),
        tuple(match.class_names[label] for label in labels[kept[examples]]),
    )


def _document(
    options: FaithfulnessOptions,
    device: torch.device,
    data: EvaluationData,
    match: ClassMatch,
    labels: NDArray[np.int64],
    steps: Steps,
    measured: Measurements,
) -> dict[str, Any]:
    """Return the figures, as plain JSON values; ``labels`` are those of the measured faces."""
    per_class = np.bincount(labels, minlength=len(match.class_names)).tolist()
    return {
        # Its name among the records that `make figures` reads.
        "benchmark": "faithfulness",
        "lnlattennet": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": options.command,
        "checkpoint": printable(options.checkpoint.name),
        "checkpoint_sha256": hash_file(options.checkpoint).sha256,
        "runtime": f"torch {torch.__version__} on {device.type}, float32",
        "data": data.summary()
        | {"faces": len(labels), "faces_per_class": dict(zip(match.class_names, per_class, strict=True))},
        "classes": list(match.class_names),
        "notes": [*data.notes, *(data.preparation.notes() if data.preparation else ()), *match.notes],
        "regions": steps.regions,
        "covered": steps.quarter,
        "steps": list(steps.counts),
        "random_orders": RANDOM_ORDERS,
        "seed": options.seed,
        "accuracy": mean_interval(measured.right).to_dict(),
        "readings": [figures.to_dict() for figures in reading_figures(measured, steps)],
    }


def write_faithfulness(result: Faithfulness, folder: Path) -> list[Path]:
    """Write the figures, those of every face, a chart of the curves, and a panel of some faces.

    Raises:
        UsageError: the folder cannot be written.
    """
    from lnlattennet.evaluation.explain._drawing import save_png
    from lnlattennet.evaluation.faithfulness._chart import curves_figure
    from lnlattennet.evaluation.faithfulness._panel import readings_panel

    names = ("faithfulness.json", "faithfulness.csv", "faithfulness.png", "faithfulness-faces.png")
    paths = [folder / name for name in names]
    panel = readings_panel(
        result.example_faces,
        result.example_names,
        result.measured.readings[:-1],
        result.measured.scores[result.examples],
        math.isqrt(result.steps.regions),
    )
    with output_errors(folder):
        with replace_file(paths[0]) as draft:
            draft.write_text(json.dumps(result.document, indent=1) + "\n", encoding="utf-8")
        with replace_file(paths[1]) as draft:
            _write_faces(result, draft)
        save_png(curves_figure(result.document), paths[2])
        save_png(panel, paths[3])
    return paths


def _load_data(options: FaithfulnessOptions, info: CheckpointInfo) -> EvaluationData:
    if options.data == SYNTHETIC:
        count = SYNTHETIC_FACES if options.count is None else options.count
        return rendered_faces(options.split, count, options.seed, info.preprocessing, info.provenance)
    data = load_dataset(Path(options.data), options.format, faces=options.faces)
    return dataset_faces(data, options.split, info.preprocessing, info.provenance)


def _chosen_labels(labels: NDArray[np.int64], count: int | None) -> NDArray[np.int64]:
    """Mark all but ``count`` faces, evenly spread, as left out (-1) like those of other classes."""
    known = np.flatnonzero(labels >= 0)
    if count is None or count >= len(known):
        return labels
    chosen = known[np.linspace(0, len(known) - 1, count).round().astype(int)]
    kept = np.full_like(labels, -1)
    kept[chosen] = labels[chosen]
    return kept


def _write_faces(result: Faithfulness, path: Path) -> None:
    """Write what the intervals are computed from: a row per face, and columns per reading."""
    measured = result.measured
    columns: dict[str, NDArray[Any]] = {"face": np.array(result.faces), "right": measured.right.astype(int)}
    for index, name in enumerate(measured.readings):
        for fill in FILLS:
            columns[f"{name}: right, highest covered ({fill})"] = measured.highest[fill][:, index]
            columns[f"{name}: right, lowest covered ({fill})"] = measured.lowest[fill][:, index]
        columns[f"{name}: deletion"] = area(measured.deletion[:, index], result.steps)
        columns[f"{name}: insertion"] = area(measured.insertion[:, index], result.steps)
        columns[f"{name}: rank correlation"] = measured.correlation[:, index]
    cells = [
        [f"{value:.4g}" for value in column] if column.dtype.kind == "f" else column.tolist()
        for column in columns.values()
    ]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))
