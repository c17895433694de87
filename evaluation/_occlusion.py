"""Accuracy on faces with covered regions, of which local attention should lose little."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import Estimate, mean_interval
from lnlattennet.errors import UsageError
from lnlattennet.evaluation.predictors._base import BATCH, Faces

Predict = Callable[[Faces], NDArray[np.float32]]
"""RGB faces uint8 [n, S, S, 3] -> logits [n, classes]."""

COVERED = (0, 1, 2, 4)
"""Numbers of regions that are covered per face; a default network has 16."""


@dataclass(frozen=True)
class OccludedAccuracy:
    """Accuracy with some regions of every face covered.

    Attributes:
        covered: number of regions covered per face.
        accuracy: share of right predictions.
        loss: accuracy without cover minus this one, resampled face by face; 0 where nothing is covered.
    """

    covered: int
    accuracy: Estimate
    loss: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "covered": self.covered,
            "accuracy": self.accuracy.to_dict(),
            "loss": self.loss.to_dict(),
        }


def cover(faces: Faces, grid: int, count: int, seed: int) -> Faces:
    """Cover ``count`` random regions of every face with the face's own mean color.

    The mean color leaves brightness and color balance as they are, so that only the content of the region is
    missing. The choice of regions depends on the face's pixels and the seed alone, not on the batch.
    Those covered at a smaller count stay covered at a larger one, so that a curve's steps are comparable.

    Args:
        faces: RGB uint8 [n, S, S, 3]; not changed.
        grid: regions per side.
        count: regions to cover, 0 to grid * grid.
        seed: seed of the choice of regions, together with the face.

    Raises:
        UsageError: there are fewer regions than ``count``.
    """
    if not 0 <= count <= grid * grid:
        raise UsageError(
            f"of the {grid * grid} regions of a {grid} x {grid} grid, 0 to {grid * grid} can be covered, "
            f"got {count}"
        )
    covered = faces.copy()
    edges = np.linspace(0, faces.shape[1], grid + 1).round().astype(int)
    for face in covered:
        color = face.mean(axis=(0, 1)).round().astype(np.uint8)
        rng = np.random.default_rng((seed, zlib.crc32(face.tobytes())))
        for region in rng.permutation(grid * grid)[:count]:
            row, column = divmod(int(region), grid)
            face[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = color
    return covered


def occlusion_curve(
    predict: Predict,
    faces: Faces,
    labels: NDArray[np.int64],
    grid: int,
    counts: Sequence[int] = COVERED,
    seed: int = 0,
) -> list[OccludedAccuracy]:
    """Measure accuracy with more and more regions covered.

    Args:
        predict: faces to logits; called with at most 64 faces at once.
        faces: RGB uint8 [N, S, S, 3].
        labels: indices into the logits [N].
        grid: regions per side.
        counts: numbers of regions to cover.
        seed: seed of the choice of regions.

    Returns:
        One entry per count, in the order of ``counts``.

    Raises:
        UsageError: there are no faces, or fewer regions than one of ``counts``.
    """
    if len(faces) == 0:
        raise UsageError("an occlusion curve needs at least one face, got none")
    right = {count: _right(predict, faces, labels, grid, count, seed) for count in {0, *counts}}
    return [
        OccludedAccuracy(count, mean_interval(right[count]), mean_interval(right[0] - right[count]))
        for count in counts
    ]


def _right(
    predict: Predict, faces: Faces, labels: NDArray[np.int64], grid: int, count: int, seed: int
) -> NDArray[np.float64]:
    """Return 1 for every face that is predicted right with ``count`` regions covered, otherwise 0: [N]."""
    starts = range(0, len(faces), BATCH)
    chunks = (cover(faces[start : start + BATCH], grid, count, seed) for start in starts)
    predictions = np.concatenate([predict(chunk).argmax(axis=1) for chunk in chunks])
    return np.asarray(predictions == labels, np.float64)
