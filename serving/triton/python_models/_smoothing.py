"""Stage that smooths the probabilities of a stream's frames over time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.serving._smoothing import exponential_step
from lnlattennet.serving.triton.python_models._stages import Arrays

FRAME_TIME = "time"
"""Input of ``expression_stream``: seconds of a frame on any clock that does not go back."""

START, END, STREAM_ID = "START", "END", "CORRID"
"""What Triton's sequence batcher adds to a request."""


@dataclass
class _Stream:
    smoothed: NDArray[np.float32] | None
    frame_time: float
    used: float


class SmoothingStep:
    """Probabilities of a frame -> the same, smoothed over the frames of its stream so far.

    The average is that of ``exponential_step``. A frame without a face changes nothing.

    Args:
        class_names: in the order of the probabilities.
        time_constant: seconds.
        idle: seconds without a frame after which the sequence batcher forgets a stream, and so may this.
        clock: seconds that pass here.
    """

    def __init__(
        self,
        class_names: list[str],
        time_constant: float,
        idle: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = np.array([name.encode() for name in class_names], dtype=np.object_)
        self._time_constant = time_constant
        self._idle = idle
        self._clock = clock
        self._streams: dict[int, _Stream] = {}

    def __call__(self, arrays: Arrays) -> Arrays:
        """Return ``smoothed_probabilities`` float32 [1, classes] and ``smoothed_label`` object [1, 1].

        Raises:
            UsageError: the frame's time is not a number, or before that of the frame before.
        """
        stream_id, frame_time = int(arrays[STREAM_ID].item()), float(arrays[FRAME_TIME].item())
        if not np.isfinite(frame_time):
            raise UsageError(f"{FRAME_TIME} must be a number of seconds, got {frame_time}")
        if arrays[START].item():
            self._forget_idle()
            self._streams[stream_id] = _Stream(None, frame_time, self._clock())
        stream = self._streams.get(stream_id)
        if stream is None:
            raise UsageError(f"stream {stream_id} must specify the START flag again: it is not known here")
        if arrays[END].item():
            del self._streams[stream_id]
        smoothed = self._smooth(stream, arrays, frame_time)
        return {
            "smoothed_probabilities": smoothed,
            "smoothed_label": self._names[smoothed.argmax(axis=1)][:, None],
        }

    def _smooth(self, stream: _Stream, arrays: Arrays, frame_time: float) -> NDArray[np.float32]:
        passed = frame_time - stream.frame_time
        if passed < 0:
            raise UsageError(
                f"{FRAME_TIME} must not go back within a stream: {frame_time} after {stream.frame_time}; "
                "send the frames in order, or start another stream"
            )
        stream.frame_time, stream.used = frame_time, self._clock()
        raw, before = arrays["probabilities"], stream.smoothed
        if not arrays["face_found"].item():
            return raw if before is None else before
        stream.smoothed = exponential_step(before, raw, passed, self._time_constant)
        return stream.smoothed

    def _forget_idle(self) -> None:
        # Nobody tells when the sequence batcher forgets a stream that its client did not end.
        oldest = self._clock() - 2 * self._idle
        self._streams = {name: stream for name, stream in self._streams.items() if stream.used >= oldest}
