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
from lnlattennet.bundle._prediction import check_faces, check_outputs, softmax
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.images._face_crop import FaceCrop, FaceCropper, check_face_limits
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Runner
from lnlattennet.serving._face_tensors import face_tensors

Arrays = Mapping[str, NDArray[Any]]
Step = Callable[[Any], Any]
Stage = Callable[[list[Any]], list[Any]]

IMAGE, FACE = "image", "face"
"""Tensors of the served models: the encoded images that a client sends, and the faces cropped from them."""

MAX_FACES, MIN_FACE = "max_faces", "min_face"
"""Parameters of a request for every face of an image."""

DEFAULT_MAX_FACES = 100
"""Faces that are answered if a request has no parameter ``max_faces``."""


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


def routed(routes: Mapping[str, Sequence[Stage]]) -> Stage:
    """Make a stage that sends each request, a pair of a route's name and its arrays, through that route."""

    def stage(requests: list[tuple[str, Arrays]]) -> list[Any]:
        outcomes: list[Any] = [UsageError("no route leads from the inputs to the outputs")] * len(requests)
        for name, stages in routes.items():
            places = [place for place, request in enumerate(requests) if request[0] == name]
            results = run_stages(stages, [requests[place][1] for place in places])
            for place, result in zip(places, results, strict=True):
                outcomes[place] = result
        return outcomes

    return stage


class FaceStep:
    """Encoded images ``image`` object [B, 1] -> the largest face of each, and where it was."""

    def __init__(self, manifest: Manifest) -> None:
        self._preprocessing = manifest.preprocessing
        self._crop_batch = FaceCropper(manifest.preprocessing).crop_batch

    def __call__(self, arrays: Arrays) -> Arrays:
        """Return the crops float32 [B, 3, S, S], and where they were taken.

        Raises:
            ImageError: an image is damaged or unsupported; the message has its index in the batch.
        """
        return _face_arrays(self._crop_batch(arrays[IMAGE][:, 0].tolist()), self._preprocessing)


class EveryFaceStep:
    """One encoded image ``image`` object [1, 1] -> its F faces, largest first, in tensors as of ``FaceStep``.

    An image without a face gives one row: its center square.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._preprocessing = manifest.preprocessing
        self._crop_faces = FaceCropper(manifest.preprocessing).crop_faces

    def __call__(self, arrays: Arrays) -> Arrays:
        """Return the crops float32 [F, 3, S, S], and where they were taken; F is at most ``max_faces``.

        Raises:
            ImageError: the image is damaged or unsupported, or there are several.
        """
        if len(arrays[IMAGE]) != 1:
            raise ImageError(
                f"a request for every face must hold one image, got {len(arrays[IMAGE])}: their numbers of "
                "faces differ, so they have no common shape; send one request per image"
            )
        image = arrays[IMAGE][0, 0]
        crops = self._crop_faces(image, int(arrays[MAX_FACES]), float(arrays[MIN_FACE]))
        return _face_arrays(crops, self._preprocessing)


def face_limits(parameters: Mapping[str, Any]) -> Arrays:
    """Return ``max_faces`` and ``min_face`` of a request as arrays without axes; missing ones have defaults.

    Raises:
        UsageError: they are not numbers, or out of range.
    """
    values = (parameters.get(MAX_FACES, DEFAULT_MAX_FACES), parameters.get(MIN_FACE, 0))
    try:
        # Text, because a client may send digits, and because a 2.5 must not become 2.
        max_faces, min_face = int(str(values[0])), float(values[1])
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the parameters {MAX_FACES} and {MIN_FACE} must be a whole number and a number of pixels, got "
            f"{values[0]!r} and {values[1]!r}"
        ) from error
    check_face_limits(max_faces, min_face)
    return {MAX_FACES: np.array(max_faces), MIN_FACE: np.array(min_face)}


def _face_arrays(crops: Sequence[FaceCrop], preprocessing: Preprocessing) -> Arrays:
    return {FACE: preprocessing.normalize(np.stack([crop.face for crop in crops])), **face_tensors(crops)}


class EngineStep:
    """Faces -> the engine's outputs; everything else passes through.

    Args:
        runner: the loaded engine.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def __call__(self, arrays: Arrays) -> Arrays:
        """Run the engine on the faces float32 [B, 3, S, S]."""
        others = {name: array for name, array in arrays.items() if name != FACE}
        return others | self._runner({INPUT_NAME: arrays[FACE]})


def finite_faces(arrays: Arrays) -> Arrays:
    """Pass on normalized faces float32 [B, 3, S, S] that come from a client.

    Raises:
        ImageError: it holds NaN or infinity.
    """
    check_faces(arrays[FACE])
    return arrays


def in_batches(step: Callable[[Arrays], Arrays], largest: int) -> Callable[[Arrays], Arrays]:
    """Return a step that takes any number of rows and calls ``step`` with at most ``largest`` at once."""

    def run(arrays: Arrays) -> Arrays:
        rows = len(next(iter(arrays.values())))
        parts = [
            step({name: array[start : start + largest] for name, array in arrays.items()})
            for start in range(0, rows, largest)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return run


class AnswerStep:
    """Checked engine outputs -> the same with ``label`` and ``probabilities``."""

    def __init__(self, class_names: Sequence[str], regions: int) -> None:
        self._names = np.array([name.encode() for name in class_names], dtype=np.object_)
        self._regions = regions

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


def every_face(prefix: str) -> Callable[[Arrays], Arrays]:
    """Return a step that gives an image's faces, [F, ...], the batch axis of its request, and other names."""
    return lambda arrays: {prefix + name: array[None] for name, array in arrays.items()}
