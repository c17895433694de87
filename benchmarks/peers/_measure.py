"""Accuracy of several models on the same faces, every prediction kept, and the time of one face."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._interleave import Turn, interleave
from lnlattennet._statistics import Estimate
from lnlattennet.data._records import FaceData
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._class_match import ClassMatch
from lnlattennet.evaluation._data import EvaluationData, dataset_faces
from lnlattennet.evaluation._figures import Figure, compute_figures
from lnlattennet.evaluation._predictions import predict_data
from lnlattennet.evaluation.predictors._base import Faces, Predictor
from lnlattennet.model._preprocessing import Preprocessing, center_square


@dataclass(frozen=True)
class Candidate:
    """A model that takes part.

    Attributes:
        predictor: the model, loaded.
        parameters: number of parameters; None where unknown.
        file_bytes: size of its file.
    """

    predictor: Predictor
    parameters: int | None
    file_bytes: int


def common_classes(predictors: Sequence[Predictor], data: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that the data and every model have, in the data's order.

    Raises:
        UsageError: fewer than two.
    """
    common = tuple(name for name in data if all(name in model.class_names for model in predictors))
    if len(common) < 2:
        raise UsageError(f"every model and the data must share two classes or more, got {list(common)}")
    return common


def compare_answers(candidates: Mapping[str, Candidate], data: FaceData, split: str) -> dict[str, Any]:
    """Let every model answer for the faces of the classes that all know; return the record of the answers.

    Labels and predictions are strings of one digit per face, the index of its class.
    """
    predictors = [candidate.predictor for candidate in candidates.values()]
    classes = common_classes(predictors, data.class_names)
    answers = {name: _answers(candidate, data, split, classes) for name, candidate in candidates.items()}
    faces = dataset_faces(data, split, predictors[0].preprocessing)
    kept = _match(predictors[0], faces, classes).label_of[faces.labels]
    names = [name for name, label in zip(faces.faces, kept, strict=True) if label >= 0]
    return {
        "data": faces.summary() | {"name": faces.format, "notes": faces.notes},
        "class_names": classes,
        "faces": len(names),
        "names_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "labels": _digits(kept[kept >= 0]),
        "answers": answers,
    }


def time_one_face(
    candidates: Mapping[str, Candidate], data: FaceData, split: str, count: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of every call for one face, in turn, from the image in memory to the answer.

    Args:
        candidates: the models, by name.
        data: whose first faces are taken.
        split: part of the data.
        count: faces that each model takes one after the other.
        rounds: counted calls of each model.
    """
    side = candidates[next(iter(candidates))].predictor.preprocessing.size
    images = next(dataset_faces(data, split, Preprocessing(size=side)).chunks())[:count]
    turns = {name: _turn(candidate.predictor, images) for name, candidate in candidates.items()}
    return interleave(turns, rounds)


def _turn(predictor: Predictor, images: Faces) -> Turn:
    circle, box = itertools.cycle(images), center_square(*images.shape[1:3])

    def answer() -> None:
        predictor.predict(predictor.preprocessing.crop(next(circle), box)[None])

    def turn() -> float:
        # Not counted: the candidate before it has taken the caches.
        answer()
        start = time.perf_counter_ns()
        answer()
        return (time.perf_counter_ns() - start) / 1e9

    return turn


def _answers(candidate: Candidate, data: FaceData, split: str, classes: tuple[str, ...]) -> dict[str, Any]:
    predictor = candidate.predictor
    faces = dataset_faces(data, split, predictor.preprocessing)
    temperature = predictor.temperature or 1.0
    match = _match(predictor, faces, classes)
    predictions = predict_data(predictor, faces, match, temperature=temperature)
    figures = compute_figures(predictions.logits, predictions.labels, classes, temperature=temperature)
    return {
        "model": predictor.description,
        "parameters": candidate.parameters,
        "file_bytes": candidate.file_bytes,
        "accuracy": _rounded(figures.accuracy),
        "ece": _rounded(figures.ece),
        "recall": {row.name: _rounded(row.recall) for row in figures.classes},
        "predictions": _digits(predictions.logits.argmax(axis=1)),
    }


def _match(predictor: Predictor, faces: EvaluationData, classes: tuple[str, ...]) -> ClassMatch:
    """Match the classes that all models know: no model may predict another."""
    return ClassMatch(
        class_names=classes,
        columns=tuple(predictor.class_names.index(name) for name in classes),
        label_of=np.array([classes.index(name) if name in classes else -1 for name in faces.class_names]),
        notes=(),
    )


def _rounded(figure: Figure) -> dict[str, float] | None:
    if figure.value is None or figure.low is None or figure.high is None:
        return None
    return Estimate(figure.value, figure.low, figure.high).to_dict()


def _digits(values: NDArray[np.int64]) -> str:
    return "".join(map(str, values))
