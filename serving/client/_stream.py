"""Streams: images one after the other, whose probabilities the server smooths over time."""

from __future__ import annotations

import math
import re
import secrets
import time
from dataclasses import dataclass

import numpy as np

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ImageError, ServingError, UsageError
from lnlattennet.images._batch import without_number
from lnlattennet.images._blank import blank_png
from lnlattennet.images._encoded import EncodedImage, require_encoded
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.serving._face_tensors import FACE_TENSORS
from lnlattennet.serving.client._calls import Dialog, Infer, Place
from lnlattennet.serving.client._session import Described, Session, checked, encoded_batch
from lnlattennet.serving.triton._model_names import LABEL, STREAM

_OUTPUTS = (*OUTPUT_NAMES, LABEL, *FACE_TENSORS, "smoothed_probabilities")
_FORGOTTEN = re.compile("must specify the START flag")


@dataclass(frozen=True)
class StreamPrediction:
    """The expression in one image of a stream.

    Attributes:
        raw: what the image alone says.
        label: the class that is most probable after smoothing.
        probabilities: class name -> probability, smoothed over the images of the stream so far.
    """

    raw: Prediction
    label: str
    probabilities: dict[str, float]


class StreamSession:
    """One stream: the server keeps what it has smoothed under the stream's number.

    A request is never sent again by itself: it might be counted twice.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._number = secrets.randbelow(2**63 - 1) + 1
        self._started = False
        self._closed = False
        self._busy = False
        self._time = 0.0

    def predict(self, image: EncodedImage, frame_time: float | None) -> Dialog[StreamPrediction]:
        """Ask for the next image."""
        if self._closed:
            raise UsageError("this stream is closed; start another with stream()")
        if self._busy:
            raise UsageError("a stream takes one image at a time: send the next when this one is answered")
        data = require_encoded(image)
        given = time.monotonic() if frame_time is None else frame_time
        try:
            moment = float(given)
        except (OverflowError, TypeError, ValueError):
            moment = math.nan
        if not math.isfinite(moment) or (self._started and moment < self._time):
            raise UsageError(
                "the time of an image must be a number of seconds that does not go back within a stream, got "
                f"{given!r}" + (f" after {self._time}" if self._started else "")
            )
        try:
            outputs, about = yield from self._ask(data, moment)
        except ImageError as error:
            if _FORGOTTEN.search(str(error)):
                raise ServingError(
                    "the server has forgotten this stream: no image came for too long (10 s unless it is set "
                    "up otherwise), or the server was restarted; start another with stream()"
                ) from error
            raise ImageError(without_number(str(error))) from error
        (raw,) = checked(outputs, 1, about)
        names, shares = about.class_names, outputs["smoothed_probabilities"][0]
        return StreamPrediction(
            raw, names[int(shares.argmax())], dict(zip(names, shares.tolist(), strict=True))
        )

    def close(self) -> Dialog[None]:
        """End the stream, so that the server forgets it now."""
        closed, self._closed = self._closed, True
        if self._started and not closed:
            try:
                # The end of a sequence is a request like any other, so it needs an image.
                yield from self._ask(blank_png(), self._time, end=True)
            except (ImageError, ServingError, UsageError):  # forgotten, or the server or client has gone
                return

    def _ask(self, image: bytes, frame_time: float, end: bool = False) -> Dialog[Described]:
        inputs = {
            INPUT_NAME: encoded_batch([image]),
            "time": np.array([[frame_time]], np.float64),
        }
        place = Place(self._number, start=not self._started, end=end)
        request = Infer(STREAM, inputs, _OUTPUTS, sequence=place)
        self._busy = True
        try:
            answer = yield from self._session.infer(request, again=False)
        finally:
            self._busy = False
        # A first image that is refused never reaches the step that smooths.
        self._started, self._time = True, frame_time
        return answer
