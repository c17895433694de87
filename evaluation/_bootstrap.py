"""95% intervals: what the same figures would be on other draws of as many faces.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.evaluation._metrics import BINS, Counts, Floats, accuracy, bin_of, macro_f1, recall

RESAMPLES = 1000
_DRAWS_AT_ONCE = 2_000_000
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Resampled:
    """Figures of every resample.

    Attributes:
        accuracy: [resamples].
        macro_f1: [resamples].
        recall: [resamples, classes]; NaN where a resample holds no face of a class.
        ece: [resamples].
    """

    accuracy: Floats
    macro_f1: Floats
    recall: Floats
    ece: Floats


def resample(
    labels: Counts,
    answers: Counts,
    confidences: Floats,
    classes: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Resampled:
    """Draw the faces again with replacement, ``resamples`` times, and compute every figure of each draw.

    Args:
        labels: true classes [n], n of 1 or more.
        answers: predicted classes [n].
        confidences: of the answers [n].
        classes: number of classes.
        seed: the same seed draws the same faces.
        resamples: how many draws.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // len(labels))
    parts = [
        _draw(labels, answers, confidences, classes, rng, min(at_once, resamples - done))
        for done in range(0, resamples, at_once)
    ]
    confusion = np.concatenate([part[0] for part in parts])
    ece = np.concatenate([part[1] for part in parts])
    return Resampled(accuracy(confusion), macro_f1(confusion), recall(confusion), ece)


def interval(samples: Floats) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the samples [resamples] that are numbers; NaN if none is."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(known, _PERCENTILES)
    return (float(low), float(high))


def _draw(
    labels: Counts, answers: Counts, confidences: Floats, classes: int, rng: np.random.Generator, rounds: int
) -> tuple[Counts, Floats]:
    """Return confusion matrices [rounds, classes, classes] and calibration errors [rounds]."""
    faces = len(labels)
    drawn = rng.integers(0, faces, (rounds, faces))
    cells = _count_by_round(labels * classes + answers, drawn, classes * classes)
    gaps = _count_by_round(bin_of(confidences), drawn, BINS, (answers == labels) - confidences)
    confusion = cells.astype(np.int64).reshape(rounds, classes, classes)
    return confusion, np.abs(gaps).sum(axis=1) / faces


def _count_by_round(
    kinds: Counts, drawn: NDArray[np.int64], number: int, weights: Floats | None = None
) -> Floats | Counts:
    """Sum the weights (or count) of the drawn faces per round and kind: [rounds, number]."""
    rounds = len(drawn)
    slots = np.arange(rounds)[:, None] * number + kinds[drawn]
    drawn_weights = None if weights is None else weights[drawn].ravel()
    sums = np.bincount(slots.ravel(), drawn_weights, minlength=rounds * number)
    return sums.reshape(rounds, number)
