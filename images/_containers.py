"""Parser of JPEG and PNG files: the declared size and orientation, and the parts that carry pixels.

Only those parts go to the decoder, so that no comment, profile, animation or EXIF block can make it warn,
unpack megabytes or fail. All of it happens before a pixel is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from lnlattennet.errors import ImageError
from lnlattennet.images._sniff import describe_refused, sniff

_PNG_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}

_JPEG_EXIF = 0xE1
_JPEG_START_OF_SCAN = 0xDA
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Adobe's block says whether four channels are inverted; JFIF's that three are YCbCr.
_JPEG_METADATA = (set(range(0xE0, 0xF0)) | {0xFE}) - {0xE0, 0xEE}

_EXIF_ORIENTATION = 0x0112
_EXIF_SHORT = 3


@dataclass(frozen=True)
class Container:
    """Facts that an encoded image declares.

    Attributes:
        format: how ``pixels`` is encoded.
        width: columns before the orientation is applied.
        height: rows before the orientation is applied.
        orientation: EXIF orientation from 1 (upright) to 8.
        bit_depth: bits per channel.
        pixels: the file without its metadata.
    """

    format: Literal["JPEG", "PNG"]
    width: int
    height: int
    orientation: int
    bit_depth: int
    pixels: bytes


def read_container(data: bytes) -> Container:
    """Parse an encoded image without decoding it.

    Raises:
        ImageError: neither JPEG nor PNG, or it ends before its size is known.
    """
    kind = sniff(data)
    try:
        if kind == "JPEG":
            return _read_jpeg(data)
        if kind == "PNG":
            return _read_png(data)
    except (IndexError, ValueError, struct.error) as error:
        raise ImageError(
            f"the {kind} file is damaged: its {len(data)} bytes end or break off before its size is known; "
            "send the whole file"
        ) from error
    raise ImageError(f"an image must be a JPEG or PNG file, got {describe_refused(data)}")


def _read_png(data: bytes) -> Container:
    width, height, bit_depth = struct.unpack_from(">IIB", data, 16)
    orientation = 1
    kept = [data[:8]]
    position = 8
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if name in _PNG_PIXEL_CHUNKS:
            kept.append(data[position:end])
        elif name == b"eXIf":
            orientation = _orientation(data[position + 8 : end - 4])
        position = end
        if name == b"IEND":
            break
    return Container("PNG", width, height, orientation, bit_depth, b"".join(kept))


def _read_jpeg(data: bytes) -> Container:
    size = (0, 0, 0)
    orientation = 1
    kept = [data[:2]]
    position = 2
    while True:
        position = data.index(b"\xff", position)
        while data[position + 1] == 0xFF:  # any number of fill bytes may precede a marker
            position += 1
        marker = data[position + 1]
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        segment = data[position + 4 : end]
        if marker == _JPEG_START_OF_SCAN:
            break
        if marker in _JPEG_FRAMES:
            size = struct.unpack_from(">BHH", segment)
        if marker == _JPEG_EXIF and segment.startswith(b"Exif\0\0"):
            orientation = _orientation(segment[6:])
        if marker not in _JPEG_METADATA:
            kept.append(data[position:end])
        position = end
    kept.append(data[position:])
    bit_depth, height, width = size
    return Container("JPEG", width, height, orientation, bit_depth, b"".join(kept))


def _orientation(exif: bytes) -> int:
    """Read the orientation from an EXIF block (a TIFF header and its first directory); 1 if it is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for index in range(entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, directory + 2 + 12 * index)
            if tag == _EXIF_ORIENTATION and kind == _EXIF_SHORT:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
