"""Damaged files of every kind: an image or an ImageError, within bounds of memory and time.

A few hundred in the test run, always the same; `pytest --hypothesis-profile fuzz tests/images/test_fuzz.py`
draws others, for minutes.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import ImageError
from lnlattennet.images._decode import Detail, decode, decode_file
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.images._sniff import sniff
from lnlattennet.model._preprocessing import Preprocessing
from tests.images.corpus import corpus, encode, scene

LONG = settings.get_profile("fuzz")
FUZZED = settings(
    LONG if settings.default is LONG else settings(max_examples=250, derandomize=True),
    deadline=None,
    suppress_health_check=[*HealthCheck],
)

MOST_SECONDS = 30
"""CPU time of one file. A large one takes a second; this is for readers that never end."""

MOST_BYTES = 900_000_000
"""Three copies of the most pixels that a data set's image may have, and what a decoder holds beside them."""

PLACES = st.integers(0, 120) | st.integers(0, 10**6)
"""Half of them among the headers."""

NUMBERS = st.sampled_from(
    [0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 4000, 2**15, 2**16 - 1, 2**31, 2**32 - 1]
)
CHANGES = st.one_of(
    st.tuples(st.just("byte"), PLACES, st.integers(0, 255)),
    st.tuples(st.just("number"), PLACES, NUMBERS, st.sampled_from([">H", "<H", ">I", "<I"])),
    st.tuples(st.just("cut"), PLACES, st.integers(1, 400)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 400), st.integers(1, 50)),
    st.tuples(st.just("insert"), PLACES, st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("end"), PLACES),
    st.tuples(st.just("graft"), PLACES, PLACES, st.integers(0, 10**6)),
)


@cache
def files() -> dict[str, list[bytes]]:
    """Return format -> whole files."""
    found: dict[str, list[bytes]] = {}
    for sample in corpus():
        found.setdefault(sniff(sample.data), []).append(sample.data)
    large = Image.fromarray(scene(150, 200))
    found["JPEG"] += [encode(large, "JPEG", progressive=True), encode(large.convert("CMYK"), "JPEG")]
    found["WebP"] += [encode(large, "WebP", lossless=True)]
    found["TIFF"] += [encode(large, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits")]
    found["GIF"] = [encode(large, "GIF")]
    return found


@cache
def cropper() -> FaceCropper:
    return FaceCropper(Preprocessing(size=48))


def changed(data: bytes, change: tuple[object, ...], others: list[bytes]) -> bytes:
    """Return a file with one change."""
    match change:
        case "byte", int(place), int(value):
            return overwritten(data, place, bytes([value]))
        case "number", int(place), int(value), str(layout):
            return overwritten(data, place, struct.pack(layout, value % (1 << 8 * struct.calcsize(layout))))
    place = int(str(change[1])) % (len(data) + 1)
    match change:
        case "cut", _, int(length):
            return data[:place] + data[place + length :]
        case "repeat", _, int(length), int(times):
            return data[:place] + data[place : place + length] * times + data[place:]
        case "insert", _, bytes(content):
            return data[:place] + content + data[place:]
        case "graft", _, int(start), int(index):
            other = others[index % len(others)]
            return data[:place] + other[start % (len(other) + 1) :]
    return data[:place]


def overwritten(data: bytes, place: int, content: bytes) -> bytes:
    place %= len(data) + 1
    return data[:place] + content + data[place + len(content) :]


def with_checksums(data: bytes) -> bytes:
    """Return a PNG file whose chunks have right checksums, so that a reader looks at what they hold."""
    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        content = data[position + 4 : position + 8 + length]
        parts.append(struct.pack(">I", length) + content + struct.pack(">I", zlib.crc32(content)))
        position += 12 + length
    return b"".join(parts)


def peak_bytes() -> int:
    """Return the most memory that this process has held since the peak was set back."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@FUZZED
@given(
    kind=st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WebP", "PPM", "GIF"]),
    index=st.integers(0, 10**6),
    changes=st.lists(CHANGES, max_size=5),
    repaired=st.booleans(),
    enough=st.sampled_from([None, Detail(64, 48)]),
)
def test_a_damaged_file_is_an_image_or_an_image_error(
    kind: str, index: int, changes: list[tuple[object, ...]], repaired: bool, enough: Detail | None
) -> None:
    data, others = files()[kind][index % len(files()[kind])], files()[kind]
    for change in changes:
        data = changed(data, change, others)
    if kind == "PNG" and repaired:
        data = with_checksums(data)
    readers: list[Callable[[], NDArray[np.uint8]]] = [
        lambda: decode(data, enough=enough).pixels,
        lambda: decode_file(data, 1, enough).pixels,
        lambda: cropper()(data).image,
    ]
    # Sets the peak back.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_bytes()
    for read in readers:
        started = time.process_time()
        try:
            pixels = read()
        except ImageError as error:
            assert ";" in str(error), "it names no way out"  # noqa: PT017
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2:] == (3,)
        assert time.process_time() - started < MOST_SECONDS
    assert peak_bytes() - before < MOST_BYTES
