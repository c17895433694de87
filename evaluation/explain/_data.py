"""Explanation of a data set: means per expression, and on rendered faces scores of the region weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data import load_dataset, prepared_faces
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._crucial_regions import (
    CrucialRegions,
    crucial_region_figures,
    render_known_faces,
)
from lnlattennet.evaluation._leakage import choose_faces
from lnlattennet.evaluation._occlusion import OccludedAccuracy, Predict, occlusion_curve
from lnlattennet.evaluation.explain._class_means import ClassMean, ClassMeans
from lnlattennet.evaluation.explain._internals import explain_faces, network_input
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._provenance import SYNTHETIC

SYNTHETIC_FACES = 350


@dataclass(frozen=True)
class DatasetFacts:
    """Split of a data set that was explained.

    Attributes:
        format: name of its layout.
        split: name of the split.
        notes: sentences about what was left out or chosen.
    """

    format: str
    split: str
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return vars(self)


@dataclass(frozen=True)
class RenderedScores:
    """Scores on rendered faces.

    Attributes:
        crucial_regions: agreement of the region weights with what changes in the face.
        occlusion: accuracy with more and more regions covered.
    """

    crucial_regions: CrucialRegions
    occlusion: list[OccludedAccuracy]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "format": SYNTHETIC,
            "split": "test",
            "crucial_regions": self.crucial_regions.to_dict(),
            "occlusion": [point.to_dict() for point in self.occlusion],
        }


@dataclass(frozen=True, kw_only=True)
class DataExplanation:
    """Means over a data set, with what they were taken over.

    Attributes:
        name: data set as the user named it.
        faces: number of averaged faces.
        region: region whose affinity is shown.
        panel: file of the drawing.
        classes: mean per expression.
        facts: split of the data set, or scores on rendered faces.
    """

    name: str
    faces: int
    region: int
    panel: str
    classes: list[ClassMean]
    facts: DatasetFacts | RenderedScores

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        classes = [mean.to_dict(self.region) for mean in self.classes]
        means = {"name": self.name, "faces": self.faces, "region": self.region, "picture": self.panel}
        return {**means, "classes": classes, **self.facts.to_dict()}


def explain_data(
    network: LNLAttenNet,
    info: CheckpointInfo,
    path: Path,
    layout: str | None,
    split: str | None,
    count: int | None,
) -> tuple[ClassMeans, DatasetFacts]:
    """Average over a data set; one chunk of its faces is in memory at a time.

    Args:
        network: network of the checkpoint, in evaluation mode.
        info: metadata of the same checkpoint.
        path: path of the data set.
        layout: its format; None to detect it.
        split: see ``choose_faces``.
        count: how many faces, evenly spread over the split; None for all.

    Returns:
        The means per class of the data set, and the split that they were taken over.

    Raises:
        DataError, UsageError, ImageError: the data set or an image in it cannot be used.
    """
    data, name, notes = choose_faces(load_dataset(path, layout), split, info.provenance)
    if count is not None and count < len(data):
        data = data.select(np.linspace(0, len(data) - 1, count).round().astype(int).tolist())
    means = ClassMeans(tuple(printable(name) for name in data.class_names))
    for faces, labels in prepared_faces(data, info.preprocessing):
        means.add(faces, labels, explain_faces(network, info.preprocessing, faces))
    return means, DatasetFacts(data.format, name, [*data.notes, *notes])


def explain_synthetic(
    network: LNLAttenNet, info: CheckpointInfo, count: int | None, seed: int = 0
) -> tuple[ClassMeans, RenderedScores]:
    """Average over rendered held-out faces, and score the weights by the regions that changed.

    Args:
        network: of the checkpoint, in evaluation mode.
        info: of the same checkpoint.
        count: how many faces; None for 350.
        seed: of the faces and of what is covered.

    Returns:
        The means per expression, and the scores of crucial regions and occlusion.

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
    counts = [number for number in (0, 1, 2, 4) if number < grid * grid]
    curve = occlusion_curve(_predict(network, info), known.images, columns[known.labels], grid, counts, seed)
    return means, RenderedScores(crucial_region_figures(np.concatenate(weights), known.change), curve)


def _predict(network: LNLAttenNet, info: CheckpointInfo) -> Predict:
    @torch.inference_mode()
    def predict(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = network(network_input(info.preprocessing, faces)).logits.numpy()
        return logits

    return predict
