"""Orientation of an image, from every metadata block that states one.

A directory of EXIF wins over XMP, as in Pillow: https://github.com/python-pillow/Pillow/issues/6462.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

EXIF_HEADER = b"Exif\0\0"

_TAG = 0x0112
# The standard says SHORT; phones and editors write nearly every type. A fraction has two numbers.
_TYPES = {
    1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 16: "Q"
}  # fmt: skip
# Not by an XML parser: packets may be cut off. What repeats is bounded, to keep the time linear.
_XMP = re.compile(rb"""Orientation(?:\s*=\s*["']|(?:\s[^<>]{,99})?>)\s*([0-9])\b""")
_TIFF_PREFIX = re.compile(rb"""xmlns(?::([^\s=]{1,60}))?\s*=\s*["']http://ns\.adobe\.com/tiff/1\.0/["']""")
_UTF_16 = re.compile(rb"\0?O\0r\0i\0e\0n\0")


def orientation(exif: Sequence[bytes], xmp: Sequence[bytes]) -> int:
    """Return the orientation from 1 to 8 that a block states; 1 if none does, or if it has no meaning.

    Args:
        exif: blocks with a TIFF header and its directory, behind ``EXIF_HEADER`` or not; those that are
            something else, damaged or empty state nothing.
        xmp: packets as text, likewise; they count where no block of EXIF has an orientation.
    """
    found = (*map(exif_orientation, exif), *map(xmp_orientation, xmp))
    first = next((number for number in found if number is not None), 1)
    return first if 1 <= first <= 8 else 1


def exif_orientation(exif: bytes) -> int | None:
    """Return the number that the first directory of EXIF has as orientation; None if it has none."""
    while exif.startswith(EXIF_HEADER):
        exif = exif[len(EXIF_HEADER) :]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        return _first_directory(exif, order)
    except struct.error:
        return None


def _first_directory(exif: bytes, order: str) -> int | None:
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    (entries,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", exif, entry)
        if tag == _TAG and kind in _TYPES and count:
            layout = struct.Struct(order + _TYPES[kind])
            place = entry + 8
            if layout.size * count > 4:
                (place,) = struct.unpack_from(order + "I", exif, place)
            return _whole(layout.unpack_from(exif, place))
    return None


def _whole(values: tuple[float, ...]) -> int:
    """Return a number, or a fraction of two, as an integer; 0 if it is none."""
    value, divisor = (*values, 1)[:2]
    return int(value // divisor) if divisor and value == value // divisor * divisor else 0


def xmp_orientation(xmp: bytes) -> int | None:
    """Return the orientation that an XMP packet states in the namespace of TIFF; None if it states none.

    The namespace may have any prefix, or be the default one; the usual prefix need not be declared.
    """
    if _UTF_16.search(xmp):
        xmp = xmp.replace(b"\0", b"")
    prefixes = {b"tiff", *_TIFF_PREFIX.findall(xmp)}
    for match in _XMP.finditer(xmp):
        before = xmp[max(match.start() - 64, 0) : match.start()]
        if re.split(rb"[\s<]", before)[-1].removesuffix(b":") in prefixes:
            return int(match[1])
    return None
