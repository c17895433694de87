"""Predictions of a model for a data set, computed chunk by chunk, with its most confident mistakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet._console import progress
from lnlattennet.errors import DataError
from lnlattennet.evaluation._class_match import ClassMatch
from lnlattennet.evaluation._data import EvaluationData
from lnlattennet.evaluation._metrics import confidence
from lnlattennet.evaluation.predictors._base import Faces, Predictor

MISTAKES = 12
Transform = Callable[[Faces], Faces]


@dataclass(frozen=True)
class Mistake:
    """Face with a wrong prediction.

    Attributes:
        index: position of the face in the data.
        label: index of its class.
        prediction: index of the predicted class.
        confidence: probability of the prediction.
        face: input of the model, uint8 [S, S, 3].
    """

    index: int
    label: int
    prediction: int
    confidence: float
    face: Faces


@dataclass(frozen=True)
class DatasetPredictions:
    """Predictions for all faces of the classes that are evaluated.

    Attributes:
        indices: positions of these faces in the data, [n].
        logits: float32 [n, evaluated classes].
        labels: int64 [n].
        mistakes: up to 12, the most confident first.
        predict_seconds: time spent in the model.
        total_seconds: time with reading, rendering and preparing the faces.
    """

    indices: NDArray[np.int64]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    mistakes: tuple[Mistake, ...]
    predict_seconds: float
    total_seconds: float

    def throughput(self) -> dict[str, float]:
        """Return durations and speeds, in the model alone and with reading and preparing the faces."""
        faces, predict, total = len(self.labels), self.predict_seconds, self.total_seconds
        return {
            "predict_seconds": round(predict, 4),
            "total_seconds": round(total, 4),
            "predict_faces_per_second": round(faces / predict, 1),
            "total_faces_per_second": round(faces / total, 1),
        }


def predict_data(
    predictor: Predictor,
    data: EvaluationData,
    match: ClassMatch,
    *,
    temperature: float,
    transform: Transform | None = None,
) -> DatasetPredictions:
    """Predict every face of an evaluated class; at most 64 faces and the worst mistakes are in memory.

    Args:
        predictor: the model.
        data: the faces; labels in the order of its own class names.
        match: the classes that are evaluated.
        temperature: divides the logits for the confidence that ranks the mistakes.
        transform: applied to the faces before prediction, such as covering regions.

    Raises:
        DataError: no face of these classes, or logits that are not finite.
    """
    labels = match.label_of[data.labels]
    kept = np.flatnonzero(labels >= 0)
    if not kept.size:
        raise DataError(f"{data.name}, split {data.split}: no face of {', '.join(match.class_names)}")
    start, predict_seconds = time.perf_counter(), 0.0
    parts: list[NDArray[np.float32]] = []
    mistakes: list[Mistake] = []
    for indices, faces in evaluated_chunks(data, labels, "evaluating"):
        inputs = faces if transform is None else transform(faces)
        if not parts:
            # Not timed: the first call of a runtime allocates.
            predictor.predict(inputs[:1])
        before = time.perf_counter()
        logits = predictor.predict(inputs)["logits"][:, match.columns]
        predict_seconds += time.perf_counter() - before
        _require_finite(logits, [data.faces[index] for index in indices])
        parts.append(logits)
        mistakes += _mistakes(logits, labels[indices], indices, inputs, temperature)
        mistakes = sorted(mistakes, key=lambda mistake: -mistake.confidence)[:MISTAKES]
    seconds = time.perf_counter() - start
    return DatasetPredictions(
        kept, np.concatenate(parts), labels[kept], tuple(mistakes), predict_seconds, seconds
    )


def evaluated_chunks(
    data: EvaluationData, labels: NDArray[np.int64], activity: str
) -> Iterator[tuple[NDArray[np.int64], Faces]]:
    """Yield indices and images of the faces whose label is not -1, and show the progress of an activity.

    Raises:
        DataError: fewer or more faces could be read than are listed.
    """
    done = 0
    with progress(activity, len(labels)) as advance:
        for faces in data.chunks():
            indices = np.arange(done, done + len(faces))
            wanted = labels[indices] >= 0
            if wanted.any():
                yield indices[wanted], faces[wanted]
            done += len(faces)
            advance(len(faces))
    if done != len(labels):
        raise DataError(f"{data.name}: {len(labels)} faces are listed, but {done} could be read")


def _require_finite(logits: NDArray[np.float32], names: Sequence[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        row = int(broken[0])
        raise DataError(
            f"the model's logits must be finite, but for {names[row]} they are {logits[row].tolist()}: its "
            "weights or its engine are at fault; train or export it again"
        )


def _mistakes(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    indices: NDArray[np.int64],
    faces: Faces,
    temperature: float,
) -> list[Mistake]:
    confidences, predictions = confidence(logits, temperature), logits.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    return [
        # A copy, so that a kept face does not keep its whole chunk in memory.
        Mistake(
            int(indices[row]),
            int(labels[row]),
            int(predictions[row]),
            float(confidences[row]),
            faces[row].copy(),
        )
        for row in wrong[np.argsort(-confidences[wrong], kind="stable")][:MISTAKES]
    ]
