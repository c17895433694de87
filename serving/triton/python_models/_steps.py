"""Steps of the pipeline: what a stage computes from the arrays of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lnlattennet.bundle._prediction import check_faces, check_outputs, softmax
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.images._batch import for_each
from lnlattennet.images._face_crop import FaceCrop, FaceCropper, check_face_limits
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Runner
from lnlattennet.serving._face_tensors import face_tensors
from lnlattennet.serving.triton._model_names import FACE, IMAGE
from lnlattennet.serving.triton.python_models._stages import Arrays

MAX_FACES, MIN_FACE = "max_faces", "min_face"
"""Parameters of a request for every face of an image."""

DEFAULT_MAX_FACES = 100
"""Faces that are answered if a request has no parameter ``max_faces``."""


class FaceStep:
    """Encoded images ``image`` object [B, 1] -> the largest face of each, and where it was."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._cropper = FaceCropper(preprocessing)

    def __call__(self, arrays: Arrays) -> Arrays:
        """Return the crops float32 [B, 3, S, S], and where they were taken.

        Raises:
            ImageError: an image is damaged or unsupported; the message has its index in the batch.
        """
        images = arrays[IMAGE][:, 0].tolist()
        crops = for_each(images, lambda image: self._cropper(image).without_image())
        return _face_arrays(crops, self._preprocessing)


class EveryFaceStep:
    """One encoded image ``image`` object [1, 1] -> its F faces, largest first, in tensors as of ``FaceStep``.

    An image without a face gives one row: its center square.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._crop_faces = FaceCropper(preprocessing).crop_faces

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
