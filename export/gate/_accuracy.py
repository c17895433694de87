"""Accuracy of an engine and of its checkpoint on the same labelled faces, with 95% intervals.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A share of the faces, and the bounds that it has in 95% of other draws of as many faces."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AccuracyComparison:
    """How often an engine and its checkpoint are right on the same faces.

    Attributes:
        faces: how many there are.
        engine: share of faces that the engine gets right.
        checkpoint: share that the checkpoint gets right.
        drop: the checkpoint's share less the engine's; its interval is of the faces' differences (paired).
        lost: indices of the faces that only the checkpoint gets right.
    """

    faces: int
    engine: Estimate
    checkpoint: Estimate
    drop: Estimate
    lost: tuple[int, ...]

    def check(self, limit: float | None, batch: int) -> Check:
        """Return the verdict on the drop; its sample is the first face that was lost."""
        return Check(
            metric="accuracy_drop",
            output="logits",
            value=self.drop.value,
            limit=limit,
            passed=limit is None or self.drop.value <= limit,
            batch=batch,
            sample=self.lost[0] if self.lost else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON values, without the list of faces."""
        return {key: value for key, value in asdict(self).items() if key != "lost"}


def compare_accuracy(
    engine: NDArray[np.float32], checkpoint: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int = 0
) -> AccuracyComparison:
    """Judge logits [n, classes] by the labels [n], n of 1 or more; NaN logits are a wrong answer.

    Args:
        engine: its logits.
        checkpoint: the checkpoint's.
        labels: true classes.
        seed: of the resamples.
    """
    right = [_right(logits, labels) for logits in (engine, checkpoint)]
    # A draw of n faces with replacement is a draw of how many of them are of each of the four kinds.
    kinds = np.bincount(2 * right[0] + right[1], minlength=4)
    draws = np.random.default_rng(seed).multinomial(len(labels), kinds / len(labels), RESAMPLES)
    counts = np.concatenate([kinds[None], draws])
    engine_right, checkpoint_right = counts[:, 2] + counts[:, 3], counts[:, 1] + counts[:, 3]
    lost = np.flatnonzero((right[0] == 0) & (right[1] == 1))
    return AccuracyComparison(
        faces=len(labels),
        engine=_estimate(engine_right / len(labels)),
        checkpoint=_estimate(checkpoint_right / len(labels)),
        drop=_estimate((checkpoint_right - engine_right) / len(labels)),
        lost=tuple(lost.tolist()),
    )


def _right(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    answered = np.isfinite(logits).all(axis=1)
    return np.asarray(answered & (logits.argmax(axis=1) == labels), np.int64)


def _estimate(shares: NDArray[np.float64]) -> Estimate:
    """Return the first share with the bounds of the others."""
    low, high = np.percentile(shares[1:], (2.5, 97.5))
    return Estimate(float(shares[0]), float(low), float(high))
