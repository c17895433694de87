"""JPEG files that lack their end marker: where their pixels may end, and whether all scans are there.

Some cameras leave the marker out, or write a trailer in its place:
https://github.com/libjpeg-turbo/libjpeg-turbo/issues/163.
"""

from __future__ import annotations

import itertools
import re
import struct

from lnlattennet.images.containers._jpeg import FRAMES, START_OF_SCAN, Frame, read_frame, segments

END_OF_IMAGE = b"\xff\xd9"

_BYTES = bytes((37 * index + 91) % 255 for index in range(256))
CONTINUATIONS = (END_OF_IMAGE, _BYTES + END_OF_IMAGE, bytes(254 - byte for byte in _BYTES) + END_OF_IMAGE)
"""What a decoder reads behind the last pixel; at an end marker it goes on with zeros. All bits differ."""

# In the pixels of a scan, 255 is followed by 0, by the number of a restart, or by itself.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Tables, comments and application data may stand between scans.
_BETWEEN_SCANS = {0xC4, 0xCC, START_OF_SCAN, *range(0xDB, 0xE0), *range(0xE0, 0xF0), 0xFE}
# A phone's named block, or a movie: pixels do not contain such names behind zeros.
_NAMED_BLOCK = re.compile(rb"\x00\x00[\x00-\xff]{2,6}?[A-Za-z_]{6}")


def without_trailer(data: bytes) -> list[bytes]:
    """Return the file up to its end marker.

    Returns:
        If it has none, the file up to each place where the pixels of its last scan may end: at most 3, and
        none if a scan is missing.
    """
    frame, scans, starts, end = _scans(data)
    if data[end : end + 2] == END_OF_IMAGE:
        return [data[: end + 2]]
    if not _has_all(frame, scans):
        return []
    places = [match.start() for match in itertools.islice(_NAMED_BLOCK.finditer(data, starts[-1], end), 3)]
    if not places:
        places = [end, len(data[:end].rstrip(b"\0"))]
    # A zero behind 255 belongs to the pixels.
    places = [place + 1 if data[place - 1] == 0xFF and place < end else place for place in places]
    return [data[:place].rstrip(b"\xff") for place in places]


def _scans(data: bytes) -> tuple[Frame, list[bytes], list[int], int]:
    """Return the frame, the header of each scan, where its pixels start, and where the last one's may end."""
    frame, headers, starts = Frame(), list[bytes](), list[int]()
    end = position = 2
    try:
        while True:
            for marker, start, stop in segments(data, position):
                if headers and marker not in _BETWEEN_SCANS:
                    return frame, headers, starts, end
                if marker in FRAMES:
                    frame = read_frame(marker, data[start + 4 : stop])
                if marker == START_OF_SCAN:
                    break
            position = stop
            headers.append(data[start + 4 : position])
            starts.append(position)
            match = _END_OF_SCAN.search(data, position)
            if match is None:
                return frame, headers, starts, len(data)
            end = position = match.start()
    except (IndexError, ValueError, struct.error):
        return frame, headers, starts, end


def _has_all(frame: Frame, scans: list[bytes]) -> bool:
    """Tell whether the scans bring every coefficient of every component to its full precision."""
    missing = {(component, place) for component in frame.sampling for place in range(64)}
    for scan in scans:
        if len(scan) < 4 or len(scan) != 4 + 2 * scan[0]:
            return False
        components = scan[1 : 1 + 2 * scan[0] : 2]
        first, last, precision = scan[1 + 2 * scan[0] :][:3] if frame.progressive else (0, 63, 0)
        if precision & 15 == 0:
            missing -= set(itertools.product(components, range(first, last + 1)))
    return bool(frame.sampling) and not missing
