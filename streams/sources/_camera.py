"""Frames of a camera: the newest one each time, and again when the camera comes back."""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from lnlattennet.streams._frame import Frame
from lnlattennet.streams.sources._decoder import Decoded, decoded_frames, pyav, video_stream
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.sources._shots import ShotCounter

_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "rtp://", "udp://", "tcp://")
_DEVICE = re.compile(r"/dev/video\d+")
_USER = re.compile(r"(?<=://)[^/?#]*@")
"""User and password, up to the last @ before the path, as FFmpeg reads an address."""


_PATIENCE = (10.0, 5.0)
"""Seconds that a camera may take to open, and to give its next bytes, before it counts as away."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
"""Seconds before the first try to reach a camera that went away; each further pause is twice as long."""

_log = logging.getLogger(__name__)


def is_camera(source: str) -> bool:
    """Return whether a source is an address of a camera, a video device, or a device's number."""
    number = source.isascii() and source.isdigit() and not os.path.exists(source)  # noqa: PTH110 - also of a long number
    return number or source.startswith(_SCHEMES) or bool(_DEVICE.fullmatch(source))


def shown_address(source: str) -> str:
    """Return an address without user and password, which are for the camera alone."""
    return _USER.sub("", source)


def camera_frames(source: str, selection: Selection) -> Generator[Frame]:
    """Yield the newest frame of a camera again and again, until the end that was asked for.

    Frames are numbered as they arrive; what arrives while a frame is judged is passed over, so that the
    answers do not fall behind. A camera that goes away is tried again until it is back: one frame without an
    image tells of the gap.

    Args:
        source: address, device or its number.
        selection: its times are seconds since the first frame.

    Yields:
        Frames with pixels, or a frame that says why there is none. Only one of these if the camera cannot be
        opened at first.

    Raises:
        UnavailableError: the package that reads cameras is missing.
    """
    reader = _Reader(source, selection)
    threading.Thread(target=reader.run, name="camera", daemon=True).start()
    shown, shot_of, shot = shown_address(source), ShotCounter(), 0
    try:
        for item in reader.newest():
            image = item.content if isinstance(item.content, str) else item.content.image()
            if not isinstance(image, str):
                shot = shot_of(image)
            yield Frame(shown, item.index, item.time, image, shot)
    finally:
        reader.stop()


@dataclass(frozen=True)
class _Item:
    """What the camera gave at ``time`` s: a frame, or why there is none."""

    content: Decoded | str
    index: int | None = None
    time: float | None = None


class _Reader:
    """Reads a camera in a thread of its own and keeps the newest frame for who asks for it."""

    def __init__(self, source: str, selection: Selection) -> None:
        self._source = f"/dev/video{source}" if source.isdigit() else source
        self._selection = selection
        self._waiting: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._over = False
        self._error: BaseException | None = None
        self._index = 0
        self._began = 0.0

    def newest(self) -> Iterator[_Item]:
        """Yield the newest frame, and what was told of gaps, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        try:
            self._read_again_and_again()
        except BaseException as error:  # raised again by who waits for frames
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify()

    def _read_again_and_again(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            before = self._index
            reason = self._read()
            if reason is None or self._stopped.is_set():
                return
            if not self._index:
                self._put(_Item(f"cannot open the camera: {reason}; check its address, user and password"))
                return
            if self._index > before:
                self._put(_Item(f"the camera went away: {reason}", self._index, self._seconds()))
                self._index += 1
                pause = _FIRST_PAUSE
            pause = min(pause, self._left())
            _log.warning("camera away (%s); next try in %.3g s", reason, pause)
            if self._stopped.wait(pause) or not self._left():
                return
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _read(self) -> str | None:
        """Read until the camera goes away, and return why; None at the end that was asked for."""
        errors = pyav().error
        try:
            with pyav().open(self._source, timeout=_PATIENCE, **_options(self._source)) as container:
                if (stream := video_stream(container)) is None:
                    return "it sends no video"
                for decoded in decoded_frames(container, stream):
                    if self._stopped.is_set() or not self._take(decoded):
                        return None
        except errors.ExitError:
            return f"it was silent for {_PATIENCE[self._index > 0]:g} s"
        except errors.FFmpegError as error:
            return str(error.strerror).lower()
        return "it ended the stream"

    def _take(self, decoded: Decoded) -> bool:
        """Offer a frame that is asked for; return whether more are."""
        self._began = self._began or time.monotonic()
        seconds = self._seconds()
        if self._selection.is_over(seconds):
            return False
        if self._selection.holds(self._index, seconds):
            self._put(_Item(decoded, self._index, seconds))
        self._index += 1
        return True

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _left(self) -> float:
        """Return the seconds until the end that was asked for."""
        end = self._selection.end
        return math.inf if end is None else max(end - self._seconds(), 0.0)

    def _put(self, item: _Item) -> None:
        with self._changed:
            # A frame that nobody took gives way to a newer one; what is told of a gap stays.
            newer = isinstance(item.content, Decoded)
            if newer and self._waiting and isinstance(self._waiting[-1].content, Decoded):
                self._waiting.pop()
            self._waiting.append(item)
            self._changed.notify()


def _options(source: str) -> dict[str, Any]:
    if source.startswith("/dev/"):
        return {"format": "v4l2"}
    # Over UDP, RTSP cameras lose packets, and the faces in them.
    return {"options": {"rtsp_transport": "tcp"}} if source.startswith("rtsp") else {}
