"""Parser of JPEG files: https://www.w3.org/Graphics/JPEG/itu-t81.pdf."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from lnlattennet.errors import ImageError
from lnlattennet.images.containers._base import MAX_PARTS, Container
from lnlattennet.images.containers._orientation import EXIF_HEADER, orientation

MAX_SCANS = 100
"""Maximum number of scans: encoders write about 10, and a decoder goes through the image for each."""

_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"

_EXIF_OR_XMP = 0xE1
START_OF_SCAN = 0xDA
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
# Adobe's block says whether four channels are inverted; JFIF's that three are YCbCr.
_METADATA = (set(range(0xE0, 0xF0)) | {0xFE}) - {0xE0, 0xEE}


@dataclass
class Frame:
    """Header of the frame: sampling factors by component, and what is needed of the rest."""

    progressive: bool = False
    height: int = 0
    width: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)

    def coefficients(self) -> int:
        """Return the number of coefficients in all components."""
        across = max((horizontal for horizontal, _ in self.sampling.values()), default=1)
        down = max((vertical for _, vertical in self.sampling.values()), default=1)
        shares = sum(horizontal * vertical for horizontal, vertical in self.sampling.values())
        return self.width * self.height * shares // max(1, across * down)


def read_jpeg(data: bytes) -> Container:
    """Parse a JPEG file.

    Raises:
        ValueError, IndexError, struct.error: it ends before its size is known.
        ImageError: it has so many segments or scans that reading it would take too long.
    """
    frame_marker, frame = 0, b""
    exif: list[bytes] = []
    xmp: list[bytes] = []
    kept: list[bytes | memoryview] = [data[:2]]
    position, buffered = 2, False
    for marker, position, end in segments(data):
        segment = data[position + 4 : end]
        if marker == START_OF_SCAN:
            buffered = frame_marker in _PROGRESSIVE or int.from_bytes(segment[:1]) < frame[5]
            break
        if marker in FRAMES:
            frame_marker, frame = marker, segment
        if marker == _EXIF_OR_XMP and segment.startswith(EXIF_HEADER):
            exif.append(segment[len(EXIF_HEADER) :])
        if marker == _EXIF_OR_XMP and segment.startswith(_XMP_HEADER):
            xmp.append(segment[len(_XMP_HEADER) :])
        if marker not in _METADATA:
            kept.append(data[position:end])
    kept.append(memoryview(data)[position:])
    if buffered and (scans := data.count(b"\xff\xda")) > MAX_SCANS:
        raise ImageError(f"a JPEG file may have at most {MAX_SCANS} scans, got {scans}; save it anew")
    bit_depth, height, width = struct.unpack_from(">BHH", frame)
    return Container(
        format="JPEG",
        width=width,
        height=height,
        # A block of more than 64 kB goes on in the next segment, which may as well be a block of its own.
        orientation=orientation([b"".join(exif), *exif[1:]], xmp),
        bit_depth=bit_depth,
        pixels=b"".join(kept),
        buffered=read_frame(frame_marker, frame).coefficients() if buffered else 0,
    )


def segments(data: bytes, position: int = 2) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments from ``position`` to the header of a scan.

    Raises:
        ValueError, IndexError, struct.error: the file ends before.
        ImageError: there are more than ``MAX_PARTS``.
    """
    for _ in range(MAX_PARTS):
        position = data.index(b"\xff", position)
        while data[position + 1] == 0xFF:  # any number of fill bytes may precede a marker
            position += 1
        marker = data[position + 1]
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        yield marker, position, end
        position = end
    raise ImageError(f"a JPEG file may have at most {MAX_PARTS:,} segments; save it anew")


def read_frame(marker: int, segment: bytes) -> Frame:
    """Read the header of the frame that ``marker`` began."""
    height, width, components = struct.unpack_from(">HHB", segment, 1)
    sampling = {
        segment[place]: (segment[place + 1] >> 4, segment[place + 1] & 15)
        for place in range(6, 6 + 3 * components, 3)
    }
    return Frame(marker in _PROGRESSIVE, height, width, sampling)
