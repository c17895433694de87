"""Accuracy of an engine and of its checkpoint on the same labeled faces, with 95% bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import Estimate, mean_interval
from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._comparisons import same_class
from lnlattennet.export.gate._metrics import METRICS


@dataclass(frozen=True)
class AccuracyComparison:
    """Accuracies of an engine and its checkpoint on the same faces.

    Attributes:
        engine: share of faces that the engine gets right.
        checkpoint: share that the checkpoint gets right.
        drop: the checkpoint's share less the engine's, over the faces where their answers differ (which of
            two equally likely classes comes first only rounding decides); its interval is of the faces'
            differences (paired).
        lost: indices of these faces that only the checkpoint gets right.
    """

    engine: Estimate
    checkpoint: Estimate
    drop: Estimate
    lost: tuple[int, ...]

    def check(self, limit: float | None, batch: int) -> Check:
        """Return the check of the drop; its sample is the first face that was lost."""
        metric = METRICS["accuracy_drop"]
        return Check(
            metric=metric.name,
            output="logits",
            value=self.drop.value,
            limit=limit,
            passed=metric.passed(self.drop.value, limit),
            batch=batch,
            sample=self.lost[0] if self.lost else None,
        )


def compare_accuracy(
    engine: NDArray[np.float32], checkpoint: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int = 0
) -> AccuracyComparison:
    """Compare logits [n, classes] with the labels [n], n of 1 or more; NaN logits are a wrong answer.

    Args:
        engine: logits of the engine.
        checkpoint: logits of the checkpoint.
        labels: true classes.
        seed: seed of the resamples.
    """
    engine_right, checkpoint_right = _right(engine, labels), _right(checkpoint, labels)
    differences = np.where(_same_answer(engine, checkpoint), 0.0, checkpoint_right - engine_right)
    return AccuracyComparison(
        engine=mean_interval(engine_right, seed),
        checkpoint=mean_interval(checkpoint_right, seed),
        drop=mean_interval(differences, seed),
        lost=tuple(np.flatnonzero(differences > 0).tolist()),
    )


def _right(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 for every face whose answer is right, else 0: [n]."""
    return np.asarray(_answered(logits) & (logits.argmax(axis=1) == labels), np.float64)


def _same_answer(engine: NDArray[np.float32], checkpoint: NDArray[np.float32]) -> NDArray[np.bool_]:
    return _answered(engine) & same_class(engine, checkpoint)


def _answered(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(logits).all(axis=1))
