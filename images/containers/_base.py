"""Facts that an encoded image declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_PARTS = 100_000
"""Maximum number of segments or chunks of a file: millions of empty ones would keep the parser busy."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """Facts that an encoded image declares.

    Attributes:
        format: how ``pixels`` is encoded.
        width: columns before the orientation is applied.
        height: rows before the orientation is applied.
        orientation: EXIF orientation from 1 (upright) to 8.
        bit_depth: bits per channel.
        pixels: the file without its metadata.
        buffered: coefficients of all channels that a decoder must hold at once; 0 if it works row by row. A
            progressive JPEG is such a file, or one with a scan for each channel.
    """

    format: Literal["JPEG", "PNG"]
    width: int
    height: int
    orientation: int
    bit_depth: int
    pixels: bytes
    buffered: int = 0
