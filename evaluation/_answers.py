"""Run a model over a data set, one chunk at a time, and keep its answers and its worst mistakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lnlattennet._console import stderr
from lnlattennet.errors import DataError
from lnlattennet.evaluation._class_match import ClassMatch
from lnlattennet.evaluation._sources import Source
from lnlattennet.evaluation.predictors._base import Faces, Predictor
from lnlattennet.training._calibration import log_probabilities

MISTAKES = 12
Change = Callable[[Faces], Faces]


@dataclass(frozen=True)
class Mistake:
    """A face that was read wrongly.

    Attributes:
        index: of the face in the source.
        confidence: of the wrong answer.
        face: what the model saw, uint8 [S, S, 3].
    """

    index: int
    confidence: float
    face: Faces


@dataclass(frozen=True)
class Answers:
    """What a model said of all faces of the classes that are judged.

    Attributes:
        indices: of those faces in the source, [n].
        logits: float32 [n, classes judged].
        labels: int64 [n].
        mistakes: the most confident ones, the worst first.
        predict_seconds: spent in the model.
        total_seconds: with reading, rendering and preparing the faces.
    """

    indices: NDArray[np.int64]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    mistakes: tuple[Mistake, ...]
    predict_seconds: float
    total_seconds: float


def collect_answers(
    predictor: Predictor,
    source: Source,
    match: ClassMatch,
    *,
    temperature: float,
    change: Change | None = None,
) -> Answers:
    """Predict every face of a class that is judged; at most 64 faces and the worst mistakes are held.

    Args:
        predictor: the model.
        source: the faces; labels in the order of its own class names.
        match: which classes are judged.
        temperature: for the confidence that mistakes are ranked by.
        change: made to the faces before they are predicted, such as covering regions.

    Raises:
        DataError: no face of these classes, or logits that are not finite.
    """
    labels = match.label_of[source.labels]
    kept = np.flatnonzero(labels >= 0)
    if not kept.size:
        raise DataError(f"{source.name}, split {source.split}: no face of {', '.join(match.class_names)}")
    start, predicting = time.perf_counter(), 0.0
    logits: list[NDArray[np.float32]] = []
    mistakes: list[Mistake] = []
    for indices, faces in _judged(source, labels):
        shown = faces if change is None else change(faces)
        if not logits:
            # The first call of a runtime allocates, and must not count as its speed.
            predictor.predict(shown[:1])
        before = time.perf_counter()
        answer = predictor.predict(shown).logits[:, match.columns]
        predicting += time.perf_counter() - before
        _require_finite(answer, [source.faces[index] for index in indices])
        logits.append(answer)
        mistakes = _worst([*mistakes, *_mistakes(answer, labels[indices], indices, shown, temperature)])
    total = time.perf_counter() - start
    return Answers(kept, np.concatenate(logits), labels[kept], tuple(mistakes), predicting, total)


def _judged(source: Source, labels: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Faces]]:
    """Give the faces of the classes that are judged, with their indices, and show how far it is."""
    done = 0
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("evaluating", total=len(labels))
        for faces in source.chunks():
            indices = np.arange(done, done + len(faces))
            wanted = labels[indices] >= 0
            if wanted.any():
                yield indices[wanted], faces[wanted]
            done += len(faces)
            progress.advance(task, len(faces))
    if done != len(labels):
        raise DataError(f"{source.name}: {len(labels)} faces are listed, but {done} could be read")


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
    confidences = np.exp(log_probabilities(logits, temperature).max(axis=1))
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    # A copy, so that a kept face does not keep its whole chunk in memory.
    worst = wrong[np.argsort(-confidences[wrong], kind="stable")][:MISTAKES]
    return [Mistake(int(indices[row]), float(confidences[row]), faces[row].copy()) for row in worst]


def _worst(mistakes: list[Mistake]) -> list[Mistake]:
    return sorted(mistakes, key=lambda mistake: -mistake.confidence)[:MISTAKES]
