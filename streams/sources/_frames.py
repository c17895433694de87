"""Frames of one source: an image file, a video or a camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.errors import ImageError
from lnlattennet.images._whole_file import read_stream
from lnlattennet.streams._frame import Frame
from lnlattennet.streams.sources._camera import camera_frames, is_camera, shown_address
from lnlattennet.streams.sources._files import STDIN
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.sources._video import is_video, video_frames

_OTHER_ADDRESS = (
    "an image must be a file on this machine: download it; the address of a video must end as a video does, "
    "such as in .mp4"
)


def frames(name: str, selection: Selection) -> Iterator[Frame]:
    """Yield the frames of a source in order: of an image file, the one.

    Args:
        name: path of a file, ``-``, or address or device of a camera.
        selection: the frames of videos and cameras that are asked for.
    """
    if is_camera(name):
        yield from camera_frames(name, selection)
    elif is_video(name):
        yield from video_frames(name, selection)
    elif "://" in name and not os.path.lexists(name):
        yield Frame(shown_address(printable(name)), image=_OTHER_ADDRESS)
    else:
        yield Frame(printable(name), image=_from_stdin() if name == STDIN else Path(name))


def moves(name: str) -> bool:
    """Return whether a source is taken for a video or a camera."""
    return is_camera(name) or is_video(name)


def _from_stdin() -> bytes | str:
    try:
        return read_stream(sys.stdin.buffer)
    except ImageError as error:
        return str(error)
