"""Stages of the served models: functions over several requests that fail independently.

A stage maps a list of values, one per request, to their outcomes in order: the next stage's value, or the
exception that this request raised. Most values are dicts of arrays whose first axis is the request's batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Manifest
from lnlattennet.bundle._prediction import check_outputs, softmax
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Runner

Arrays = Mapping[str, NDArray[Any]]
Step = Callable[[Any], Any]
Stage = Callable[[list[Any]], list[Any]]

IMAGE, FACE = "image", "face"
"""Tensors of the served models: the encoded images that a client sends, and the faces cropped from them."""


def run_stages(stages: Iterable[Stage], requests: Sequence[Any]) -> list[Any]:
    """Send requests through every stage; a failed one skips the remaining stages."""
    outcomes = list(requests)
    for stage in stages:
        alive = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
        results = stage([outcomes[i] for i in alive])
        for i, result in zip(alive, results, strict=True):
            outcomes[i] = result
    return outcomes


def each(step: Step) -> Stage:
    """Make a stage that handles the requests one by one, so that each fails alone."""

    def attempt(value: Any) -> Any:
        try:
            return step(value)
        except Exception as error:
            return error

    return lambda values: [attempt(value) for value in values]


def together(step: Callable[[Arrays], Arrays]) -> Stage:
    """Make a stage that handles the arrays of all requests as one batch and splits the answer."""

    def stage(requests: list[Arrays]) -> list[Arrays]:
        whole = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
        ends = np.cumsum([len(next(iter(request.values()))) for request in requests])[:-1]
        parts = {name: np.split(array, ends) for name, array in step(whole).items()}
        return [{name: parts[name][i] for name in parts} for i in range(len(requests))]

    def attempt(requests: list[Arrays]) -> list[Any]:
        try:
            return stage(requests) if requests else []
        except Exception as error:
            return [error] * len(requests)

    return attempt


class FaceStep:
    """Encoded images ``image`` object [B, 1] -> ``face``, ``face_box`` and ``face_found``."""

    def __init__(self, manifest: Manifest) -> None:
        self._crop_faces = FaceCropper(manifest.preprocessing).crop_batch
        self._normalize = manifest.preprocessing.normalize

    def __call__(self, arrays: Arrays) -> Arrays:
        """Return float32 [B, 3, S, S], float32 [B, 4] (pixels of the upright image) and bool [B, 1].

        Raises:
            ImageError: an image is damaged or unsupported; the message has its index in the batch.
        """
        crops = self._crop_faces(arrays[IMAGE][:, 0].tolist())
        return {
            FACE: self._normalize(np.stack([crop.face for crop in crops])),
            "face_box": np.array([crop.box for crop in crops], dtype=np.float32),
            "face_found": np.array([[crop.found] for crop in crops], dtype=np.bool_),
        }


class EngineStep:
    """Faces -> the engine's outputs; everything else passes through.

    Args:
        runner: the loaded engine.
        faces: name of the tensor that holds the faces.
    """

    def __init__(self, runner: Runner, faces: str = FACE) -> None:
        self._runner = runner
        self._faces = faces

    def __call__(self, arrays: Arrays) -> Arrays:
        """Run the engine on the faces float32 [B, 3, S, S]."""
        others = {name: array for name, array in arrays.items() if name != self._faces}
        return others | self._runner({INPUT_NAME: arrays[self._faces]})


class AnswerStep:
    """Checked engine outputs -> the same with ``label`` and ``probabilities``."""

    def __init__(self, manifest: Manifest) -> None:
        self._names = np.array([name.encode() for name in manifest.class_names], dtype=np.object_)
        self._regions = manifest.grid**2

    def __call__(self, arrays: Arrays) -> Arrays:
        """Add object [B, 1] and float32 [B, classes]; everything else passes through.

        Raises:
            EngineOutputError: an output breaks a rule of ``check_outputs``.
        """
        logits = arrays["logits"]
        check_outputs(arrays, len(logits), len(self._names), self._regions)
        probabilities = softmax(logits)
        labels = self._names[probabilities.argmax(axis=1)][:, None]
        return {**arrays, "label": labels, "probabilities": probabilities}
