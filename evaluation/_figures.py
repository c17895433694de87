"""All figures of one evaluation, each with its interval, as one JSON document."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import RESAMPLES, Floats, interval
from lnlattennet.evaluation._metrics import (
    Counts,
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    f1,
    macro_f1,
    number_or_none,
    recall,
    reliability,
    resample,
)
from lnlattennet.training._calibration import check_answers, log_probabilities, negative_log_likelihood


def figures(
    logits: NDArray[np.float32],
    labels: Counts,
    class_names: tuple[str, ...],
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge answers; returns plain JSON values.

    Accuracy, macro-F1, recall and confusion matrix do not depend on the temperature; the calibration is given
    before and after it. Every interval comes from the same 1,000 resamples of the faces.

    Args:
        logits: [n, classes], n of 1 or more.
        labels: [n].
        class_names: in the order of the logits.
        temperature: that the logits are divided by for confidences.
        seed: of the resamples.

    Raises:
        DataError: shapes that do not fit, or a logit that is not finite.
    """
    check_answers(logits, labels)
    answers = logits.argmax(axis=1)
    confidences = confidence(logits, temperature)
    confusion = confusion_matrix(labels, answers, len(class_names))
    resampled = resample(labels, answers, confidences, len(class_names), seed=seed)
    calibration = {"before": _calibration(logits, labels, 1.0)}
    if temperature != 1.0:
        calibration["after"] = _calibration(logits, labels, temperature)
    ece = list(calibration.values())[-1]["ece"]
    return {
        "class_names": list(class_names),
        "faces": len(labels),
        "accuracy": _figure(accuracy(confusion), resampled.accuracy),
        "macro_f1": _figure(macro_f1(confusion), resampled.macro_f1),
        "ece": _figure(np.float64(ece), resampled.ece),
        "temperature": temperature,
        "calibration": calibration,
        "classes": _classes(class_names, confusion, resampled.recall),
        "confusion": confusion.tolist(),
        "intervals": {"level": 0.95, "method": "percentile bootstrap", "resamples": RESAMPLES, "seed": seed},
    }


def confidence(logits: NDArray[np.float32], temperature: float) -> Floats:
    """Return the largest probability of every face, [n]."""
    return np.asarray(np.exp(log_probabilities(logits, temperature).max(axis=1)))


def _calibration(logits: NDArray[np.float32], labels: Counts, temperature: float) -> dict[str, Any]:
    confidences, right = confidence(logits, temperature), logits.argmax(axis=1) == labels
    return {
        "temperature": temperature,
        "ece": expected_calibration_error(confidences, right),
        "nll": negative_log_likelihood(logits, labels, temperature),
        "bins": [dataclasses.asdict(entry) for entry in reliability(confidences, right)],
    }


def _classes(names: tuple[str, ...], confusion: Counts, resampled: Floats) -> list[dict[str, Any]]:
    recalls, scores, faces = recall(confusion), f1(confusion), confusion.sum(axis=1)
    return [
        {
            "name": name,
            "faces": int(faces[index]),
            "recall": _figure(recalls[index], resampled[:, index]),
            "f1": number_or_none(scores[index]),
        }
        for index, name in enumerate(names)
    ]


def _figure(value: Floats | np.float64, resampled: Floats) -> dict[str, float | None]:
    """A value with its interval; None where a class has no face to judge."""
    low, high = interval(resampled)
    missing = bool(np.isnan(value))
    return {
        "value": number_or_none(float(value)),
        "low": None if missing else number_or_none(low),
        "high": None if missing else number_or_none(high),
    }
