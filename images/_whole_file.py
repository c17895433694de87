"""Content of image files, up to a size that no image has: a device such as /dev/zero has no end."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from lnlattennet.errors import ImageError

LARGEST_FILE = 2**30
"""Bytes; 80 megapixels of four channels of 16 bits are 640 MB."""


def read_image_file(path: Path) -> bytes:
    """Return what a file holds; a pipe is read to its end.

    Raises:
        OSError: it cannot be read.
        ImageError: it is larger than ``LARGEST_FILE``.
    """
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO, size: int | None = None) -> bytes:
    """Return the rest of a stream, or its next ``size`` bytes; see ``read_image_file``."""
    data = stream.read(LARGEST_FILE + 1 if size is None else min(size, LARGEST_FILE + 1))
    if len(data) > LARGEST_FILE:
        raise ImageError(f"an image file may have at most {LARGEST_FILE:,} bytes, got more; is it a video?")
    return data
