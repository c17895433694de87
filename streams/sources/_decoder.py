"""Packets of a video stream -> upright RGB images with their times; damage is told, and passed over."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ImageError, require
from lnlattennet.images._decode import check_size
from lnlattennet.images._upright import upright

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

_TURNS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
"""Signs of a display matrix's first two columns and rows -> orientation, as EXIF numbers them."""

_ONE = 1 << 16
"""A 1 in a display matrix, which holds fixed-point numbers."""

_INCOMPLETE = "data missing or wrong in a part of it"
"""What is told of a frame that FFmpeg decoded and patched up."""


@dataclass(frozen=True)
class Decoded:
    """One frame of a stream, or what is known of one that is damaged.

    Attributes:
        time: presentation time in seconds on the stream's own clock; None if the file has none.
        frame: the frame; None if it cannot be decoded.
        reformatter: converts the frames of its stream, one at a time; it keeps the tables of their colors.
        damage: what is wrong with it, or "".
    """

    time: float | None
    frame: VideoFrame | None = field(default=None, repr=False)
    reformatter: VideoReformatter | None = field(default=None, repr=False)
    damage: str = ""

    @property
    def duration(self) -> float:
        """Seconds for which the frame is shown; 0 if the file does not tell."""
        if self.frame is None or self.frame.time_base is None:
            return 0.0
        return float((self.frame.duration or 0) * self.frame.time_base)

    def image(self) -> NDArray[np.uint8] | str:
        """Return upright RGB pixels, uint8 [H, W, 3], or why there are none."""
        if self.damage or self.frame is None or self.reformatter is None:
            return f"the frame is damaged ({self.damage}); record or copy the video again"
        try:
            check_size(self.frame.width, self.frame.height)
        except ImageError as error:
            return str(error)
        # By default each frame starts threads of its own: 12 times as long for small ones, and more memory.
        rgb = self.reformatter.reformat(self.frame, format="rgb24", threads=1)
        pixels: Any = rgb.to_ndarray()
        return upright(pixels, orientation(self.frame))


def pyav() -> Any:
    """Import PyAV and quiet FFmpeg, which prints what it thinks of a damaged file.

    Raises:
        UnavailableError: the package is missing.
    """
    module = require("av", "video")
    module.logging.set_level(module.logging.PANIC)
    return module


def ffmpeg_name(source: str | Path) -> str:
    """Return how FFmpeg is told of a file or address.

    A file has its whole path: FFmpeg takes what is before a colon, as in 12:30.mp4, for a protocol.
    """
    return source if isinstance(source, str) and "://" in source else str(Path(source).absolute())


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream of moving images; a cover of a piece of music is none."""
    module = pyav()
    cover = module.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[Decoded]:
    """Yield the frames of a stream in order of presentation.

    A packet that cannot be decoded gives one frame with ``damage``, in order of the file, and so does a frame
    that FFmpeg could only patch up. FFmpeg says nothing of packets that its demuxer lost.

    Raises:
        FFmpegError: the source went away, or breaks off.
    """
    # One thread: the faces need the others, and with more, what is told of damage depends on their order.
    stream.thread_count = 1
    errors, reformatter = pyav().error, pyav().video.reformatter.VideoReformatter()
    incomplete: set[int | None] = set()
    for packet in container.demux(stream):
        if packet.is_corrupt:
            incomplete.add(packet.pts)
        try:
            frames = packet.decode()
        except errors.EOFError:
            return
        except errors.InvalidDataError as error:
            time = None if packet.pts is None else float(packet.pts * packet.time_base)
            yield Decoded(time, damage=error.strerror.lower())
        else:
            for frame in frames:
                patched = frame.is_corrupt or frame.pts in incomplete
                incomplete.discard(frame.pts)
                yield Decoded(frame.time, frame, reformatter, _INCOMPLETE if patched else "")


def orientation(frame: VideoFrame) -> int:
    """Return how a frame is turned, as EXIF numbers it; 1 is upright, and what a matrix at an angle gets."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 1
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    return _TURNS.get(tuple(round(value / _ONE) for value in (a, b, c, d)), 1)
