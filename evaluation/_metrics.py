"""Classification and calibration metrics, of the faces as they are and of bootstrap resamples of them.

Rows of a confusion matrix are the true classes, columns the predicted ones: the largest logit, of equal ones
the first. The functions of scikit-learn take one resample at a time: 1,000 resamples of 2,100 faces take
0.1 s here, and 2.6 s there for macro-F1 alone, after an import of 1.3 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import RESAMPLES, Floats, Indices, bootstrap
from lnlattennet.training._calibration import log_probabilities

BINS = 15
"""Bins of equal width (Guo et al., ICML 2017): bin m holds the confidences in ((m - 1) / 15, m / 15]."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ReliabilityBin:
    """Faces whose confidence lies in (low, high].

    Attributes:
        low: exclusive, except that the first bin holds 0.
        high: inclusive.
        faces: number of faces.
        confidence: mean confidence, None without faces.
        accuracy: share of right predictions, None without faces.
    """

    low: float
    high: float
    faces: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class ResampledMetrics:
    """Metrics of every resample.

    Attributes:
        accuracy: [resamples].
        macro_f1: [resamples].
        ece: expected calibration error, [resamples].
        recall: [resamples, classes]; NaN where a resample holds no face of a class.
    """

    accuracy: Floats
    macro_f1: Floats
    ece: Floats
    recall: Floats


def confusion_matrix(labels: Counts, predictions: Counts, classes: int) -> Counts:
    """Count predictions [n] per label [n]: int64 [classes, classes]."""
    cells = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return cells.reshape(classes, classes)


def accuracy(confusion: Counts) -> Floats:
    """Return the share of right predictions of confusion matrices [..., classes, classes]."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return np.asarray(right / confusion.sum(axis=(-2, -1)))


def recall(confusion: Counts) -> Floats:
    """Return per class the share of its faces that are right, [..., classes]; NaN for one without faces."""
    faces = confusion.sum(axis=-1)
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), faces)


def f1(confusion: Counts) -> Floats:
    """Return 2 tp / (2 tp + fp + fn) per class, [..., classes]; NaN if it is neither label nor prediction."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * right, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Counts) -> Floats:
    """Return the mean F1 of the classes that occur as label or prediction, of [..., classes, classes]."""
    return np.asarray(np.nanmean(f1(confusion), axis=-1))


def confidence(logits: NDArray[np.float32], temperature: float) -> Floats:
    """Return the largest probability of every face, [n]."""
    return np.asarray(np.exp(log_probabilities(logits, temperature).max(axis=1)))


def bin_of(confidences: Floats) -> Counts:
    """Return the index of each confidence's bin, 0 to 14."""
    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, BINS - 1)


def expected_calibration_error(confidences: Floats, right: NDArray[np.bool_]) -> float:
    """Return the mean distance of accuracy from confidence over the bins, weighted by their faces."""
    gaps = np.bincount(bin_of(confidences), weights=right - confidences, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def reliability(confidences: Floats, right: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Return the reliability diagram's 15 bins, of confidences [n] and of right predictions [n]."""
    bins = bin_of(confidences)
    faces = np.bincount(bins, minlength=BINS)
    mean_confidence = _ratio(np.bincount(bins, weights=confidences, minlength=BINS), faces)
    share_right = _ratio(np.bincount(bins, weights=right, minlength=BINS), faces)
    return [
        ReliabilityBin(
            low=m / BINS,
            high=(m + 1) / BINS,
            faces=int(faces[m]),
            confidence=number_or_none(mean_confidence[m]),
            accuracy=number_or_none(share_right[m]),
        )
        for m in range(BINS)
    ]


def resample(
    labels: Counts,
    predictions: Counts,
    confidences: Floats,
    classes: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> ResampledMetrics:
    """Draw the faces again with replacement, and compute every metric of each draw.

    Args:
        labels: true classes [n], n of 1 or more.
        predictions: predicted classes [n].
        confidences: confidences of the predictions [n].
        classes: number of classes.
        seed: the same seed draws the same faces.
        resamples: number of draws.
    """
    cells, bins = labels * classes + predictions, bin_of(confidences)
    gaps = (predictions == labels) - confidences

    def metrics(draws: Indices) -> Floats:
        confusion = _sum_by_draw(cells, draws, classes * classes).reshape(-1, classes, classes)
        ece = np.abs(_sum_by_draw(bins, draws, BINS, gaps)).sum(axis=1) / len(labels)
        return np.column_stack([accuracy(confusion), macro_f1(confusion), ece, recall(confusion)])

    drawn = bootstrap(metrics, len(labels), resamples=resamples, seed=seed)
    return ResampledMetrics(drawn[:, 0], drawn[:, 1], drawn[:, 2], drawn[:, 3:])


def number_or_none(value: float) -> float | None:
    """Return a float, or None for NaN, which JSON cannot hold."""
    return None if np.isnan(value) else float(value)


def _ratio(numerator: NDArray[np.float64 | np.int64], denominator: Counts) -> Floats:
    """Divide; NaN where the denominator is 0."""
    missing = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=missing, where=denominator > 0)


def _sum_by_draw(kinds: Counts, draws: Indices, number: int, weights: Floats | None = None) -> NDArray[Any]:
    """Count the drawn faces, or sum their weights, per draw and kind: [draws, number]."""
    slots = np.arange(len(draws))[:, None] * number + kinds[draws]
    drawn = None if weights is None else weights[draws].ravel()
    return np.bincount(slots.ravel(), drawn, minlength=len(draws) * number).reshape(len(draws), number)
