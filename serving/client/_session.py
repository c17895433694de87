"""What a client asks a server and makes of the answers, without how it is sent.

Each question is a dialog: a generator of calls that the blocking and the asyncio client both run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import Prediction, check_faces, check_outputs, predictions_from_outputs
from lnlattennet.errors import (
    ImageError,
    ImageTypeError,
    OverloadedError,
    ServingError,
    UnreachableError,
)
from lnlattennet.images._batch import for_each, renumber, without_number
from lnlattennet.images._decode import check_size
from lnlattennet.images._encoded import require_encoded
from lnlattennet.images._face_crop import FaceLocation, check_face_limits
from lnlattennet.images._read import require_rgb
from lnlattennet.images._ready_crops import require_crops
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.model._preprocessing import center_square
from lnlattennet.serving._face_tensors import FACE_TENSORS, face_locations
from lnlattennet.serving.client._arguments import check_model, check_retries
from lnlattennet.serving.client._calls import Dialog, Infer, Outputs, Pause, ReadConfig, Register
from lnlattennet.serving.client._description import ModelDescription, read_description
from lnlattennet.serving.client._shared_memory import SMALLEST_SHARED, Region, RegionPool
from lnlattennet.serving.triton._model_names import CROPS, ENGINE_MODEL, FACES, LABEL

_Answer = tuple[Outputs, str]
"""Outputs, and the version of the model that gave them."""

Described = tuple[Outputs, ModelDescription]
"""Outputs, and what the version states that gave them."""

_OUTPUTS = (*OUTPUT_NAMES, LABEL, *FACE_TENSORS)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_random = random.SystemRandom()
_UNKNOWN_REGION = "Unable to find shared memory region"
"""What Triton says after a restart."""
_REGION_IN_USE = "it is currently in use"
"""What Triton says of a region that a request reads, and for some milliseconds after its answer.

It has done so since 2.50; before, it crashed in the request. Later releases unmap the region afterwards.
https://github.com/triton-inference-server/server/pull/7567
"""
_UNREGISTER_RETRIES = 5
_UNREGISTER_SECONDS = 2.0
"""A server that hangs is not to hold up the end of its clients for long."""
_VERSION_ATTEMPTS = 3


class Session:
    """The state of a client: what it asks, and what it knows of the server.

    Args:
        model: name of the served model for the largest face.
        timeout: seconds that a request may take, its retries counted in.
        retries: how often a request is sent again.
        shared_memory: whether large tensors are handed over in shared memory.

    Raises:
        UsageError: there is another method for ``model``, or ``retries`` is out of range.
    """

    description: ModelDescription

    parameters: Mapping[str, float] = MappingProxyType({})
    """Sent with every request for a prediction."""

    def __init__(self, model: str, timeout: float, retries: int, shared_memory: bool) -> None:
        check_model(model)
        check_retries(retries)
        self._model = model
        self._descriptions: dict[str, ModelDescription] = {}
        self._timeout = timeout
        self._retries = retries
        self._regions = RegionPool() if shared_memory else None

    def describe(self) -> Dialog[ModelDescription]:
        """Ask what the model states of itself, and keep it."""
        config = yield from self._retried(ReadConfig(self._model, self._timeout))
        self.description = read_description(self._model, config)
        return self.description

    def _description_of(self, model: str, version: str) -> Dialog[ModelDescription]:
        """Return what the version that gave an answer states: a running server may change to another one."""
        if not self.description.version or version == self.description.version:
            return self.description
        if version in self._descriptions:
            self.description = self._descriptions[version]
            return self.description
        return (yield from self._described(model, version))

    def _described(self, model: str, version: str) -> Dialog[ModelDescription]:
        asked = self._model if model == ENGINE_MODEL else model
        config = yield from self._retried(ReadConfig(asked, self._timeout, version))
        self._descriptions[version] = self.description = read_description(asked, config)
        return self.description

    def model_config(self, model: str) -> Dialog[dict[str, Any]]:
        """Ask for the configuration of any model."""
        config: dict[str, Any] = yield from self._retried(ReadConfig(model, self._timeout))
        return config

    def predict(self, images: Any, max_faces: int | None, min_face: float) -> Dialog[Any]:
        """Ask for the largest face, or every face, of an image or of each of a list."""
        check_face_limits(max_faces, min_face)
        if isinstance(images, list | tuple):
            encoded = for_each(images, require_encoded)
            if max_faces is None:
                return (yield from self._largest_faces(encoded))
            return (yield from self._every_face_of_each(encoded, max_faces, min_face))
        image = require_encoded(images)
        if max_faces is not None:
            return (yield from self._every_face(image, max_faces, min_face))
        try:
            return (yield from self._largest_faces([image]))[0]
        except ImageError as error:
            raise ImageError(without_number(str(error))) from error

    def _largest_faces(self, images: Sequence[bytes]) -> Dialog[list[Prediction]]:
        predictions: list[Prediction] = []
        for start, batch in self._batches(images):
            with _numbered_from(start):
                outputs, about = yield from self.infer(
                    Infer(self._model, {INPUT_NAME: encoded_batch(batch)}, _OUTPUTS)
                )
            predictions += checked(outputs, len(batch), about)
        return predictions

    def _every_face_of_each(
        self, images: Sequence[bytes], max_faces: int, min_face: float
    ) -> Dialog[list[list[Prediction]]]:
        predictions = []
        for index, image in enumerate(images):
            try:
                predictions.append((yield from self._every_face(image, max_faces, min_face)))
            except ImageError as error:
                raise type(error)(f"image {index} of the batch: {error}") from error
        return predictions

    def _every_face(self, image: bytes, max_faces: int, min_face: float) -> Dialog[list[Prediction]]:
        limits = {"max_faces": int(max_faces), "min_face": float(min_face)}
        request = Infer(FACES, {INPUT_NAME: encoded_batch([image])}, _OUTPUTS, limits)
        outputs, about = yield from self.infer(request)
        rows = {name: array[0] for name, array in outputs.items()}
        return checked(rows, len(rows["status"]), about)

    def predict_crops(self, crops: Any) -> Dialog[list[Prediction]]:
        """Ask for crops of faces: pixels, or the engine's normalized input."""
        crops = require_crops(crops)
        if len(crops) == 0:
            return []
        if isinstance(crops, np.ndarray) and crops.dtype == np.float32:
            outputs, about = yield from self._engine(crops)
            boxes = [(0.0, 0.0, float(crops.shape[3]), float(crops.shape[2]))] * len(crops)
            return _in_boxes(outputs, boxes, about)
        pixels, predictions = for_each(crops, _require_crop), list[Prediction]()
        for (height, width, _), group in itertools.groupby(pixels, key=np.shape):
            same = list(group)
            for _, batch in self._batches(same):
                outputs, about = yield from self.infer(
                    Infer(CROPS, {"crop": np.stack(batch)}, (*OUTPUT_NAMES, LABEL))
                )
                predictions += _in_boxes(outputs, [center_square(width, height)] * len(batch), about)
        return predictions

    def engine_outputs(self, faces: NDArray[np.float32]) -> Dialog[Outputs]:
        """Ask the engine for its checked outputs for normalized faces float32 [n, 3, S, S]."""
        return (yield from self._engine(faces))[0]

    def _engine(self, faces: NDArray[np.float32]) -> Dialog[Described]:
        _require_normalized(faces)
        # A server that runs the engine in a backend of its own does not look.
        check_faces(faces)
        for _ in range(_VERSION_ATTEMPTS):
            answer = yield from self._engine_of_one_version(faces)
            if answer is not None:
                return answer
        largest = self.description.max_batch_size
        raise ServingError(
            f"{_VERSION_ATTEMPTS} times the server changed its version between two batches of one request; "
            f"ask again when all servers at its address serve one, or for {largest} faces at most"
        )

    def _engine_of_one_version(self, faces: NDArray[np.float32]) -> Dialog[Described | None]:
        """Return None if the version changes meanwhile: the outputs of two networks are not one answer."""
        parts: list[Described] = []
        for _, batch in self._batches(faces):
            outputs, about = yield from self.infer(Infer(ENGINE_MODEL, {INPUT_NAME: batch}, OUTPUT_NAMES))
            if parts and about != parts[0][1]:
                return None
            _check(outputs, len(batch), about)
            parts.append((outputs, about))
        return {name: np.concatenate([part[name] for part, _ in parts]) for name in OUTPUT_NAMES}, parts[0][1]

    def infer(self, request: Infer, again: bool = True) -> Dialog[Described]:
        """Send a request, in shared memory if that is on and it is large.

        Args:
            request: what to ask; its timeout is set here.
            again: whether it may be sent again.

        Returns:
            The outputs, and what the version states that gave them.
        """
        outputs, version = yield from self._send(request, again)
        about = yield from self._description_of(request.model, version)
        if not about.fits(outputs):
            # Another deployment is behind the address: its versions have the same numbers.
            about = yield from self._described(request.model, version)
        return outputs, about

    def _send(self, request: Infer, again: bool) -> Dialog[_Answer]:
        parameters = {**request.parameters, **self.parameters}
        request = replace(request, timeout=self._timeout, parameters=parameters)
        (array, *others) = request.inputs.values()
        if self._regions is None or others or array.dtype == np.object_ or array.nbytes < SMALLEST_SHARED:
            answer: _Answer = yield from self._retried(request, again)
            return answer
        return (yield from self._infer_shared(request, array, self._regions))

    def _infer_shared(self, request: Infer, array: NDArray[Any], regions: RegionPool) -> Dialog[_Answer]:
        region = regions.take(array.nbytes)
        try:
            region.write(array)
            try:
                return (yield from self._infer_from(region, request))
            except ServingError as error:
                if _UNKNOWN_REGION not in str(error):
                    raise
                region.registered = False
                return (yield from self._infer_from(region, request))
        finally:
            # A request that got no answer may still read it, but nobody sees what the server makes of that.
            regions.give_back(region)

    def _infer_from(self, region: Region, request: Infer) -> Dialog[_Answer]:
        if not region.registered:
            yield from self._retried(Register(region, self._timeout))
            region.registered = True
        answer: _Answer = yield from self._retried(replace(request, region=region))
        return answer

    def close(self) -> Dialog[None]:
        """Let go of the shared memory."""
        regions = list(self._regions.empty()) if self._regions else []
        for region in regions:
            region.remove()
        # An error: the server has gone, and its mappings with it.
        with suppress(ServingError):
            for region in regions:
                if region.registered:
                    yield from self._unregister(region)

    def _unregister(self, region: Region) -> Dialog[None]:
        for pause in (*_pauses(_UNREGISTER_RETRIES), None):
            try:
                yield Register(region, min(self._timeout, _UNREGISTER_SECONDS), mapped=False)
                return
            except ServingError as error:
                if _REGION_IN_USE not in str(error):
                    raise
            if pause is not None:
                yield Pause(pause)

    def _retried(self, call: Any, again: bool = True) -> Dialog[Any]:
        deadline = time.monotonic() + self._timeout
        for pause in (*_pauses(self._retries if again else 0), None):
            try:
                return (yield replace(call, timeout=max(deadline - time.monotonic(), 1e-3)))
            except (OverloadedError, UnreachableError):
                if pause is None or time.monotonic() + pause >= deadline:
                    raise
            yield Pause(pause)
        raise AssertionError("the last attempt returns or raises")

    def _batches(self, items: Any) -> Iterator[tuple[int, Any]]:
        largest = self.description.max_batch_size
        for start in range(0, len(items), largest):
            yield start, items[start : start + largest]


def _require_crop(crop: Any) -> NDArray[np.uint8]:
    pixels = require_rgb(crop)
    # A server would not say which of a batch it means.
    check_size(pixels.shape[1], pixels.shape[0])
    return pixels


def _require_normalized(faces: Any) -> None:
    if not isinstance(faces, np.ndarray):
        raise ImageTypeError(f"normalized faces must be an array, got {type(faces).__name__}")
    if faces.ndim != 4 or len(faces) == 0 or faces.shape[1] != 3 or faces.dtype != np.float32:
        raise ImageError(
            f"normalized faces must be float32 [n, 3, S, S] with n > 0, got {faces.dtype} {list(faces.shape)}"
        )


def checked(outputs: Outputs, faces: int, about: ModelDescription) -> list[Prediction]:
    """Turn the answer of a model that finds faces into predictions.

    Raises:
        EngineOutputError: an output breaks a rule of ``check_outputs``.
    """
    _check(outputs, faces, about)
    return _predictions(outputs, face_locations(outputs), about)


def _in_boxes(outputs: Outputs, boxes: Sequence[Any], about: ModelDescription) -> list[Prediction]:
    _check(outputs, len(boxes), about)
    return _predictions(outputs, [FaceLocation(box=box, status="no_face") for box in boxes], about)


def _check(outputs: Outputs, faces: int, about: ModelDescription) -> None:
    check_outputs(outputs, faces, len(about.class_names), about.grid**2)


def _predictions(
    outputs: Outputs, faces: Sequence[FaceLocation], about: ModelDescription
) -> list[Prediction]:
    return predictions_from_outputs(
        outputs,
        about.class_names,
        faces,
        model_hash=about.model_hash,
        preprocessing_id=about.preprocessing_id,
    )


def encoded_batch(images: Sequence[bytes]) -> NDArray[np.object_]:
    """Return encoded images as the array [B, 1] that a served model takes."""
    return np.array(images, dtype=np.object_)[:, None]


def _pauses(retries: int) -> Iterator[float]:
    """Return the seconds before each retry: doubled each time, and random, so that clients come apart."""
    for number in range(retries):
        longest = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
        yield _random.uniform(longest / 2, longest)


@contextmanager
def _numbered_from(start: int) -> Iterator[None]:
    """Add ``start`` to the index of an image in an error."""
    try:
        yield
    except ImageError as error:
        raise ImageError(renumber(str(error), start)) from error
