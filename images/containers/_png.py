"""Parser of PNG files: https://www.w3.org/TR/png-3/."""

from __future__ import annotations

import re
import struct
import zlib

from lnlattennet.errors import ImageError
from lnlattennet.images.containers._base import MAX_PARTS, Container
from lnlattennet.images.containers._orientation import orientation

_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}

_XMP = b"XML:com.adobe.xmp"
# ImageMagick and GraphicsMagick write such texts, a JPEG's block in hexadecimal.
_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp")

_LONGEST_TEXT = 1 << 20
"""Bytes to which a compressed text is unpacked; an orientation further behind is not looked for."""


def read_png(data: bytes) -> Container:
    """Parse a PNG file.

    Raises:
        struct.error: it ends before its size is known.
        ImageError: it has so many chunks that reading it would take too long.
    """
    width, height, bit_depth = struct.unpack_from(">IIB", data, 16)
    kept = [data[:8]]
    exif = b""
    texts: dict[bytes, bytes] = {}
    position = 8
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if name in _PIXEL_CHUNKS:
            kept.append(data[position:end])
        elif name == b"eXIf":
            exif = data[position + 8 : end - 4]
        elif name in _TEXT_CHUNKS:
            _add_text(texts, name, data[position + 8 : end - 4])
        position = end
        if name == b"IEND":
            break
    else:
        raise ImageError(f"a PNG file may have at most {MAX_PARTS:,} chunks; save it anew")
    profiles = [_profile(texts[keyword]) for keyword in _PROFILES if keyword in texts]
    return Container(
        format="PNG",
        width=width,
        height=height,
        orientation=orientation([exif, *profiles], [texts.get(_XMP, b""), *profiles]),
        bit_depth=bit_depth,
        pixels=b"".join(kept),
    )


def _add_text(texts: dict[bytes, bytes], name: bytes, payload: bytes) -> None:
    """Add the text of a chunk under its keyword, if that is one of an orientation and the first such."""
    keyword, _, text = payload.partition(b"\0")
    if keyword in texts or (keyword != _XMP and keyword not in _PROFILES):
        return
    compressed = name == b"zTXt"
    if compressed:
        text = text[1:]
    elif name == b"iTXt":
        compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    try:
        texts[keyword] = zlib.decompressobj().decompress(text, _LONGEST_TEXT) if compressed else text
    except zlib.error:
        texts[keyword] = b""


def _profile(text: bytes) -> bytes:
    """Undo the hexadecimal form: a line with the name, one with the length, then the digits."""
    digits = re.sub(rb"\s", b"", b"".join(text.split(b"\n", 3)[3:]))
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    except ValueError:
        return b""
