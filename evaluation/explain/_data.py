"""Explanation of a data set: means per expression, and on rendered faces scores of the region weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data import load_dataset, prepared_faces
from lnlattennet.data._records import FacesOption
from lnlattennet.data.preparation._framing import framing_notes
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._crucial_regions import crucial_region_figures, render_known_faces
from lnlattennet.evaluation._leakage import choose_faces
from lnlattennet.evaluation._occlusion import COVERED, occlusion_curve
from lnlattennet.evaluation.explain._class_means import ClassMeans
from lnlattennet.evaluation.explain._internals import explain_faces, network_input
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._provenance import SYNTHETIC

SYNTHETIC_FACES = 350


def explain_data(
    network: LNLAttenNet,
    info: CheckpointInfo,
    path: Path,
    layout: str | None,
    split: str | None,
    count: int | None,
    faces: FacesOption = "auto",
) -> tuple[ClassMeans, dict[str, Any]]:
    """Average over a data set; one chunk of its faces is in memory at a time.

    Args:
        network: network of the checkpoint, in evaluation mode.
        info: metadata of the same checkpoint.
        path: path of the data set.
        layout: its format; None to detect it.
        split: see ``choose_faces``.
        count: number of faces, evenly spread over the split; None for all.
        faces: how faces are made from its images (``load_dataset``).

    Returns:
        The means per class of the data set; its format, its split and notes, as plain JSON values.

    Raises:
        DataError, UsageError, ImageError: the data set or an image in it cannot be used.
    """
    data, name, notes = choose_faces(load_dataset(path, layout, faces=faces), split, info.provenance)
    if count is not None and count < len(data):
        data = data.select(np.linspace(0, len(data) - 1, count).round().astype(int).tolist())
    means = ClassMeans(tuple(printable(name) for name in data.class_names))
    report = PreparationReport()
    for images, labels in prepared_faces(data, info.preprocessing, report=report):
        means.add(images, labels, explain_faces(network, info.preprocessing, images))
    notes = (*data.notes, *notes, *framing_notes(data, info.preprocessing, training=False), *report.notes())
    return means, {
        "format": data.format,
        "split": name,
        "preparation": report.to_dict(),
        "notes": list(notes),
    }


def explain_synthetic(
    network: LNLAttenNet, info: CheckpointInfo, count: int | None, seed: int = 0
) -> tuple[ClassMeans, dict[str, Any]]:
    """Average over rendered held-out faces, and score the weights against the regions that change.

    Args:
        network: network of the checkpoint, in evaluation mode.
        info: metadata of the same checkpoint.
        count: number of faces; None for 350.
        seed: seed of the faces and of the covered regions.

    Returns:
        The means per expression; scores of crucial regions and occlusion, as plain JSON values.

    Raises:
        UsageError: the checkpoint does not know one of the rendered expressions.
    """
    if not set(EXPRESSIONS) <= set(info.class_names):
        raise UsageError(
            f"rendered faces show {', '.join(EXPRESSIONS)}, but this checkpoint knows "
            f"{', '.join(info.class_names)}: give a data set with its classes"
        )
    grid = info.config.grid
    known = render_known_faces(
        SYNTHETIC_FACES if count is None else count, seed, size=info.preprocessing.size, grid=grid
    )
    means, weights = ClassMeans(EXPRESSIONS), []
    for chunk in known.chunks():
        explanation = explain_faces(network, info.preprocessing, chunk.images)
        means.add(chunk.images, chunk.labels, explanation, chunk.change)
        weights.append(explanation.weights)
    columns = np.array([info.class_names.index(name) for name in EXPRESSIONS])

    @torch.inference_mode()
    def predict(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(network(network_input(info.preprocessing, faces)).logits.numpy())

    counts = [number for number in COVERED if number < grid * grid]
    curve = occlusion_curve(predict, known.images, columns[known.labels], grid, counts, seed)
    return means, {
        "format": SYNTHETIC,
        "split": "test",
        "crucial_regions": crucial_region_figures(np.concatenate(weights), known.change).to_dict(),
        "occlusion": [point.to_dict() for point in curve],
    }
