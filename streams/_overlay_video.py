"""Annotated video: the frames of a source with boxes, labels, tracks and region weights, at their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.images._overlay import DrawnFace, draw_faces
from lnlattennet.model._preprocessing import Box
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._rows import Row
from lnlattennet.streams.sources._decoder import ffmpeg_name, pyav

_CLOCK = 90_000
"""Ticks of a second: exact for the usual frame rates, and fine enough for any other."""

_CODEC = "libx264"
_QUALITY = {"preset": "veryfast", "crf": "20"}
_HD = 1
"""What FFmpeg calls the color matrix ITU-R BT.709, which players assume for large videos."""


@contextmanager
def overlay_video(path: Path) -> Iterator[OverlayVideo]:
    """Open a video to draw to; what was drawn is whole even if the run ends early.

    Raises:
        OSError: the file cannot be written.
    """
    with pyav().open(ffmpeg_name(path), "w") as container:
        video = OverlayVideo(container)
        try:
            yield video
        finally:
            video.finish()


class OverlayVideo:
    """Draws frames with their rows, one after the other. Frames without an image leave the one before."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._stream: Any = None
        self._ticks = -1

    @property
    def is_begun(self) -> bool:
        """Whether a frame was drawn; without one there is no file."""
        return self._stream is not None

    def draw(self, frame: Frame, rows: Sequence[Row]) -> None:
        """Add a frame; its faces are not blurred.

        Args:
            frame: with its pixels, which stay as they are, and its time.
            rows: all rows of the frame.
        """
        if not isinstance(frame.image, np.ndarray):
            return
        image = _even(draw_faces(frame.image, [_drawn(row, row.box) for row in rows if row.box]))
        if self._stream is None:
            self._start(image)
        # Two frames of one time would be refused.
        self._ticks = max(round((frame.time or 0.0) * _CLOCK), self._ticks + 1)
        self._encode(_fitted(image, self._stream.width, self._stream.height))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())

    def _start(self, image: NDArray[np.uint8]) -> None:
        self._stream = self._container.add_stream(_CODEC, rate=30, options=_QUALITY)
        self._stream.height, self._stream.width = image.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _CLOCK)
        self._stream.codec_context.colorspace = _HD

    def _encode(self, image: NDArray[np.uint8]) -> None:
        colors = pyav().video.reformatter.Colorspace.ITU709
        picture = pyav().VideoFrame.from_ndarray(image, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=colors)
        picture.pts, picture.time_base = self._ticks, Fraction(1, _CLOCK)
        self._container.mux(self._stream.encode(picture))


def _drawn(row: Row, box: Box) -> DrawnFace:
    weights = row.region_weights or ()
    grid = round(len(weights) ** 0.5)
    return DrawnFace(
        [weights[start : start + grid] for start in range(0, grid * grid, grid)], box, _label(row)
    )


def _label(row: Row) -> str:
    """Return track, label and its probability, as the table has them: raw, not smoothed."""
    track = "" if row.track is None else f"{row.track}  "
    share = "" if row.probabilities is None else f"  {max(row.probabilities):.0%}"
    return f"{track}{row.label or ''}{share}"


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row or column of an image with an odd number of them, which the encoder refuses."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _fitted(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale an image of another size into the first one's, with black bars."""
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    whole = np.zeros((height, width, 3), np.uint8)
    whole[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return whole
