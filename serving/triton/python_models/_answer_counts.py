"""Counters of what the models answer, beside Triton's own on its metrics address.

Triton 2.51 gives python models counters and gauges, no histograms: here they are counters with the names that
Prometheus gives the parts of a histogram, so its functions work.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.serving.triton._model_names import EVERY
from lnlattennet.serving.triton.python_models._stages import Arrays

ENTROPIES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
"""Upper bounds in nats; a guess among 7 classes has 1.95."""

FACES = (0, 1, 2, 4, 8, 16)

_ANSWERS = "lnlattennet_answers_total"
_ENTROPY = "lnlattennet_entropy"
_FACES = "lnlattennet_faces_per_image"
_DESCRIPTIONS = {
    _ANSWERS: "Faces answered, by their most probable class",
    f"{_ENTROPY}_bucket": "Faces answered whose probabilities have at most this entropy in nats",
    f"{_ENTROPY}_sum": "Sum of the entropies of the probabilities in nats",
    f"{_ENTROPY}_count": "Faces answered",
    f"{_FACES}_bucket": "Images in which at most so many faces were found",
    f"{_FACES}_sum": "Faces found",
    f"{_FACES}_count": "Images searched for faces",
}

_COUNTED = [prefix + name for prefix in ("", EVERY) for name in ("label", "probabilities", "face_found")]
_SECONDS_BETWEEN = 1.0
_MOST_WAITING = 100_000

_Series = tuple[str, str]
"""A metric, and the value of its label; "" without one."""


class AnswerCounts:
    """Counts of one instance of a model; Triton adds up those of all instances.

    An increment takes a message to the server, so a thread counts once a second what was answered meanwhile.

    Args:
        triton: the module triton_python_backend_utils.
        model: name of the model.
        outputs: names of its outputs, which tell what it counts.
        class_names: names of all classes.
    """

    def __init__(self, triton: Any, model: str, outputs: Iterable[str], class_names: Sequence[str]) -> None:
        self._triton = triton
        names = set(outputs)
        series: list[_Series] = []
        if "label" in names:
            series += [(_ANSWERS, name) for name in class_names] + _histogram(_ENTROPY, ENTROPIES)
        if "face_found" in names:
            series += _histogram(_FACES, FACES)
        # They live as long as these objects.
        self._families = {name: self._family(name) for name in {metric for metric, _ in series}}
        self._metrics = {
            (name, value): self._families[name].Metric(labels={"model": model, **_label(name, value)})
            for name, value in series
        }
        self._waiting: deque[Arrays] = deque(maxlen=_MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._count_for_ever, name="counts", daemon=True)
        if series:
            self._thread.start()

    def add(self, answer: Arrays) -> None:
        """Take note of the answer to a request."""
        if self._metrics:
            # Not the faces, which are large.
            self._waiting.append({name: answer[name] for name in _COUNTED if name in answer})

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._metrics:
            self._thread.join()

    def _family(self, name: str) -> Any:
        kind = self._triton.MetricFamily.COUNTER
        return self._triton.MetricFamily(name=name, description=_DESCRIPTIONS[name], kind=kind)

    def _count_for_ever(self) -> None:
        while not self._stopped.wait(_SECONDS_BETWEEN):
            try:
                answers = [self._waiting.popleft() for _ in range(len(self._waiting))]
                for series, number in counted(answers).items():
                    if number and series in self._metrics:
                        self._metrics[series].increment(number)
            except Exception:
                # Later answers are counted all the same.
                self._triton.Logger.log_error(traceback.format_exc())


def counted(answers: Iterable[Arrays]) -> Mapping[_Series, float]:
    """Return by how much the answers raise each metric."""
    labels: list[bytes] = []
    probabilities: list[NDArray[np.float32]] = []
    faces: list[int] = []
    for answer in answers:
        every = f"{EVERY}label" in answer
        rows = {name.removeprefix(EVERY): array[0] if every else array for name, array in answer.items()}
        if "label" in rows:
            labels += rows["label"].ravel().tolist()
            probabilities.append(rows["probabilities"])
        if "face_found" in rows:
            # One image, of which every row is a face, or an image in each row.
            faces += [int(rows["face_found"].sum())] if every else rows["face_found"].ravel().tolist()
    counts: dict[_Series, float] = {
        (_ANSWERS, label.decode()): count for label, count in Counter(labels).items()
    }
    if probabilities:
        counts |= _observed(_ENTROPY, ENTROPIES, _entropies(np.concatenate(probabilities)))
    if faces:
        counts |= _observed(_FACES, FACES, np.array(faces, np.float64))
    return counts


def _entropies(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = probabilities.astype(np.float64)
    terms: NDArray[np.float64] = -shares * np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(terms.sum(axis=1))


def _histogram(name: str, bounds: Iterable[float]) -> list[_Series]:
    buckets = [(f"{name}_bucket", f"{bound:g}") for bound in bounds]
    return [*buckets, (f"{name}_bucket", "+Inf"), (f"{name}_sum", ""), (f"{name}_count", "")]


def _label(name: str, value: str) -> dict[str, str]:
    if not value:
        return {}
    return {"class" if name == _ANSWERS else "le": value}


def _observed(name: str, bounds: Iterable[float], values: NDArray[np.float64]) -> dict[_Series, float]:
    counts: dict[_Series, float] = {
        (f"{name}_bucket", f"{bound:g}"): int((values <= bound).sum()) for bound in bounds
    }
    whole = {
        (f"{name}_bucket", "+Inf"): len(values),
        (f"{name}_sum", ""): float(values.sum()),
        (f"{name}_count", ""): len(values),
    }
    return counts | whole
