"""Figures of an evaluation: every metric with its interval, calibration and confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import RESAMPLES, Floats, interval
from lnlattennet.evaluation._metrics import (
    Counts,
    ReliabilityBin,
    accuracy,
    confidence,
    confusion_matrix,
    expected_calibration_error,
    f1,
    macro_f1,
    number_or_none,
    recall,
    reliability,
    resample,
)
from lnlattennet.training._calibration import check_answers, negative_log_likelihood


@dataclass(frozen=True)
class Figure:
    """Metric with its 95% interval; None for a class without faces."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ClassFigures:
    """Metrics of one class.

    Attributes:
        name: class name.
        faces: number of faces with this label.
        recall: share of them with the right prediction.
        f1: harmonic mean of precision and recall; None for a class that is neither label nor prediction.
    """

    name: str
    faces: int
    recall: Figure
    f1: float | None


@dataclass(frozen=True)
class CalibrationFigures:
    """Calibration at one temperature.

    Attributes:
        temperature: divides the logits.
        ece: expected calibration error.
        nll: mean negative log-likelihood of the labels, in nats.
        bins: reliability diagram.
    """

    temperature: float
    ece: float
    nll: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of an evaluation, in the order of the JSON document.

    Attributes:
        class_names: evaluated classes, in the order of rows and columns.
        faces: number of faces.
        accuracy: share of right predictions.
        macro_f1: mean F1 over the classes that occur as label or as prediction.
        ece: expected calibration error at ``temperature``.
        temperature: divides the logits for confidences.
        calibration: "before" at temperature 1, and "after" at ``temperature`` if that is another.
        classes: metrics per class.
        confusion: counts, a row per true class and a column per predicted one.
        intervals: level, method, resamples and seed of the intervals.
    """

    class_names: tuple[str, ...]
    faces: int
    accuracy: Figure
    macro_f1: Figure
    ece: Figure
    temperature: float
    calibration: Mapping[str, CalibrationFigures]
    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]]
    intervals: Mapping[str, Any]


def compute_figures(
    logits: NDArray[np.float32],
    labels: Counts,
    class_names: tuple[str, ...],
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> Figures:
    """Compare predictions with labels.

    Accuracy, macro-F1, recall and confusion matrix do not depend on the temperature. Every interval comes
    from the same 1,000 resamples of the faces.

    Args:
        logits: [n, classes], n of 1 or more.
        labels: [n].
        class_names: in the order of the logits.
        temperature: divides the logits for confidences.
        seed: seed of the resamples.

    Raises:
        DataError: shapes that do not fit, or a logit that is not finite.
    """
    check_answers(logits, labels)
    predictions = logits.argmax(axis=1)
    confusion = confusion_matrix(labels, predictions, len(class_names))
    resampled = resample(labels, predictions, confidence(logits, temperature), len(class_names), seed=seed)
    calibration = {"before": _calibration(logits, labels, 1.0)}
    if temperature != 1.0:
        calibration["after"] = _calibration(logits, labels, temperature)
    ece = list(calibration.values())[-1].ece
    return Figures(
        class_names=class_names,
        faces=len(labels),
        accuracy=_figure(accuracy(confusion), resampled.accuracy),
        macro_f1=_figure(macro_f1(confusion), resampled.macro_f1),
        ece=_figure(np.float64(ece), resampled.ece),
        temperature=temperature,
        calibration=calibration,
        classes=_classes(class_names, confusion, resampled.recall),
        confusion=confusion.tolist(),
        intervals={
            "level": 0.95,
            "method": "percentile bootstrap",
            "resamples": RESAMPLES,
            "seed": seed,
        },
    )


def _calibration(logits: NDArray[np.float32], labels: Counts, temperature: float) -> CalibrationFigures:
    confidences, right = confidence(logits, temperature), logits.argmax(axis=1) == labels
    return CalibrationFigures(
        temperature=temperature,
        ece=expected_calibration_error(confidences, right),
        nll=negative_log_likelihood(logits, labels, temperature),
        bins=tuple(reliability(confidences, right)),
    )


def _classes(names: tuple[str, ...], confusion: Counts, resampled: Floats) -> tuple[ClassFigures, ...]:
    recalls, scores, faces = recall(confusion), f1(confusion), confusion.sum(axis=1)
    return tuple(
        ClassFigures(
            name,
            int(faces[index]),
            _figure(recalls[index], resampled[:, index]),
            number_or_none(scores[index]),
        )
        for index, name in enumerate(names)
    )


def _figure(value: Floats | np.float64, resampled: Floats) -> Figure:
    if np.isnan(value):
        return Figure(None, None, None)
    low, high = interval(resampled)
    return Figure(float(value), number_or_none(low), number_or_none(high))
