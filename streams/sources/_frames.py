"""Frames of one source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.errors import ImageError
from lnlattennet.images._whole_file import read_stream
from lnlattennet.streams._frame import Frame
from lnlattennet.streams.sources._files import STDIN


def frames(name: str) -> Iterator[Frame]:
    """Yield the frames of a source in order: of an image file, the one."""
    yield Frame(printable(name), image=_from_stdin() if name == STDIN else Path(name))


def _from_stdin() -> bytes | str:
    try:
        return read_stream(sys.stdin.buffer)
    except ImageError as error:
        return str(error)
