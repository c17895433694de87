"""Frames of a video file, or of one behind an http address, read once from its start to its end."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lnlattennet._command import printable
from lnlattennet.errors import UnavailableError
from lnlattennet.streams._frame import Frame
from lnlattennet.streams.sources._camera import shown_address
from lnlattennet.streams.sources._decoder import Decoded, decoded_frames, ffmpeg_name, pyav, video_stream
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.sources._shots import ShotCounter

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "h264", "hevc", "m2ts", "m4v", "mjpeg", "mkv"),
        *("mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv"),
    )
)
"""Endings, in lower case, by which a file is taken for a video."""

_USUAL_RATE = 25.0
"""Frames a second of a file that tells neither times nor a rate."""

_MISSING = 1.0
"""Seconds that may be missing at the end of a video before it counts as cut off."""

_PATIENCE = (10.0, 10.0)
"""Seconds that an address may take to open, and to give the next bytes."""


def is_video(source: str) -> bool:
    """Return whether a path or address is taken for a video, by its ending."""
    return Path(source.split("?")[0] if "://" in source else source).suffix.lower() in VIDEO_SUFFIXES


def video_frames(source: str, selection: Selection) -> Iterator[Frame]:
    """Yield the frames of a video that are asked for, in order of presentation.

    Frames are numbered from 0 at the start of the video, those that are not asked for and damaged ones
    included. A video is always decoded from its start: not every file has an index, and numbers and shots
    then do not depend on where a run began.

    Args:
        source: path or http address.
        selection: the frames that are asked for; its times count from the start of the video.

    Yields:
        Frames with pixels, or a frame that says why it, or the whole video, cannot be read.

    """
    shown = shown_address(printable(source))
    try:
        errors = pyav().error
    except UnavailableError as error:
        # One video among a million images must not end their run.
        yield Frame(shown, image=str(error))
        return
    try:
        container = _open(source)
    except errors.FFmpegError as error:
        yield Frame(shown, image=_unopened(source, error))
        return
    with container:
        stream = video_stream(container)
        if stream is None:
            yield Frame(shown, image=_without_video(container))
            return
        yield from _Reading(shown, container, stream, selection).frames()


def expected_frames(source: str, selection: Selection) -> int | None:
    """Return about how many frames of a video are asked for, or None if its file does not tell."""
    try:
        with _open(source) as container:
            stream = video_stream(container)
            if stream is None or container.duration is None:
                return None
            seconds = container.duration / 1e6
            rate = stream.frames / seconds if stream.frames else float(stream.guessed_rate or _USUAL_RATE)
    except UnavailableError:
        # Whoever reads the video says so.
        return None
    except (pyav().error.FFmpegError, ZeroDivisionError):
        return None
    end = seconds if selection.end is None else min(selection.end, seconds)
    return max(0, round((end - selection.start) * rate / selection.every))


def _open(source: str) -> InputContainer:
    container: InputContainer = pyav().open(ffmpeg_name(source), timeout=_PATIENCE, metadata_errors="replace")
    return container


class _Reading:
    """One pass over a video."""

    def __init__(
        self, source: str, container: InputContainer, stream: VideoStream, selection: Selection
    ) -> None:
        self._source, self._container, self._stream = source, container, stream
        self._selection = selection
        self._origin = None if container.start_time is None else container.start_time / 1e6
        self._rate = float(stream.guessed_rate or _USUAL_RATE)
        self._shot_of = ShotCounter()
        self._shot = 0
        self._index = 0
        self._time = 0.0
        self._end = 0.0
        self._decoding_time = -math.inf
        self._clock_is_new = False
        self._longest = 0.0
        self._yielded = 0

    def frames(self) -> Iterator[Frame]:
        try:
            for decoded in decoded_frames(self._container, self._stream):
                late = self._advance(decoded)
                if self._selection.is_over(self._time):
                    break
                if self._selection.holds(self._index, self._time):
                    yield self._frame(decoded, late)
                self._index += 1
            else:
                if missing := self._missing():
                    yield self._error(f"the last {missing:.1f} s are missing: the video was cut off")
        except pyav().error.FFmpegError as error:
            yield self._error(f"the video breaks off: {error.strerror}")
        if not self._yielded:
            yield Frame(self._source, image=self._nothing())

    def _advance(self, decoded: Decoded) -> str:
        """Go on to the time of a frame; return why it comes too late to have one, or "".

        Times never go back. What cannot be decoded gets the time of the frame before it: its own would
        precede that of frames that wait in the decoder, and may be as damaged.
        """
        time = self._time_of(decoded)
        self._end = max(self._end, time)
        if decoded.frame is None:
            return ""
        if time < self._time:
            return (
                f"its time goes back from {self._time:.2f} s to {time:.2f} s: frames between them are lost; "
                "record or copy the video again"
            )
        self._longest = max(self._longest, time - self._time, decoded.duration)
        self._time = time
        return ""

    def _time_of(self, decoded: Decoded) -> float:
        """Return the seconds of a frame since the start of the video, by its number if it has no time.

        Where recordings were joined, the clock starts over, that of decoding first: its times go on.
        """
        if decoded.time is None:
            return max(self._index / self._rate, self._time)
        if self._origin is None:
            self._origin = decoded.time
        if decoded.frame is not None and decoded.frame.dts is not None:
            self._clock_is_new |= decoded.frame.dts < self._decoding_time
            self._decoding_time = decoded.frame.dts
            if self._clock_is_new and decoded.time - self._origin < self._time:
                self._origin = decoded.time - self._time - 1 / self._rate
                self._clock_is_new = False
        return max(decoded.time - self._origin, 0.0)

    def _frame(self, decoded: Decoded, late: str) -> Frame:
        self._yielded += 1
        image = late or decoded.image()
        if not isinstance(image, str):
            self._shot = self._shot_of(image)
        return Frame(self._source, self._index, self._time, image, self._shot)

    def _error(self, message: str) -> Frame:
        self._yielded += 1
        advice = "; the rows before it stand; copy or record the video again"
        return Frame(self._source, self._index, self._time, message + advice, self._shot)

    def _missing(self) -> float:
        """Return the seconds that the file announces and does not have, or 0.

        The last frame may be shown as long as any before it: of slides and time lapses for minutes.
        """
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            announced = float(stream.duration * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            announced = container.duration / 1e6
        else:
            return 0.0
        missing = announced - self._end
        return missing if missing - self._longest > _MISSING else 0.0

    def _nothing(self) -> str:
        selection, last = self._selection, self._time
        if not self._index and selection.is_over(last):
            return f"the first frame is at {last:.2f} s, and --end is {selection.end:g} s; end later"
        if not self._index:
            return "the video has no frame; record it again"
        each = "" if selection.every == 1 else f" of --every {selection.every}"
        return (
            f"no frame{each} lies between --start {selection.start:g} s and the end that was asked for, "
            f"and the video has {self._index} frames up to {last:.2f} s; start earlier"
            + (each and ", or take more of them")
        )


def _unopened(source: str, error: Exception) -> str:
    is_file = os.path.isfile(source)  # noqa: PTH113 - Path.is_file raises of a name that is too long
    if is_file and not Path(source).stat().st_size:
        return "the video is empty (0 bytes); copy it again"
    reason = getattr(error, "strerror", None) or str(error)
    if not is_file:
        return f"cannot open the video: {reason}; check the path or address"
    return (
        f"cannot read the video: {reason}; it is no video, or was cut off and lost the index at its end: "
        "copy or record it again"
    )


def _without_video(container: InputContainer) -> str:
    kinds = ", ".join(f"{stream.type} ({stream.name})" for stream in container.streams)
    has = f"it has only {kinds}" if kinds else "it has no stream at all"
    return f"a video must have a stream of moving images; {has}; give a file with images"
