"""Decoding: every kind of JPEG and PNG against an oracle, and nothing but ImageError for the rest."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lnlattennet.errors import ImageError
from lnlattennet.images._decode import decode_image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, COLOR, PALETTE, GRAY_ALPHA, COLOR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, COLOR: 3, PALETTE: 1, GRAY_ALPHA: 2, COLOR_ALPHA: 4}
KINDS = [
    *itertools.product([GRAY], [1, 2, 4, 8, 16]),
    *itertools.product([COLOR], [8, 16]),
    *itertools.product([PALETTE], [1, 2, 4, 8]),
    *itertools.product([GRAY_ALPHA, COLOR_ALPHA], [8, 16]),
]


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def header(width: int, height: int, color: int = COLOR, depth: int = 8) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))


def png(samples: NDArray[np.uint16], color: int, depth: int, extra: bytes = b"") -> bytes:
    """Encode integers [H, W, channels] of `depth` bits by the letter of the standard."""
    height, width, _ = samples.shape
    bits = (samples.reshape(height, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = header(width, height, color, depth) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return PNG_SIGNATURE + chunks


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def smooth(height: int = 48, width: int = 64) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 255 // height, columns * 255 // width, (rows + columns) % 256]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    keyed=st.booleans(),
    height=st.integers(16, 40),
    width=st.integers(16, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_kind_of_png_shows_what_the_standard_says(
    kind: tuple[int, int], keyed: bool, height: int, width: int, seed: int
) -> None:
    color, depth = kind
    generator = np.random.default_rng(seed)
    samples = generator.integers(0, 2**depth, (height, width, CHANNELS[color]), dtype=np.uint16)
    colors = generator.integers(0, 256, (2**depth if color == PALETTE else 1, 3), dtype=np.uint8)
    alphas = generator.integers(0, 256, len(colors), dtype=np.uint8)
    extra = chunk(b"PLTE", colors.tobytes()) if color == PALETTE else b""
    key = samples[3, 5]
    if keyed and color == PALETTE:
        extra += chunk(b"tRNS", alphas.tobytes())
    elif keyed and color in (GRAY, COLOR):
        extra += chunk(b"tRNS", key.astype(">u2").tobytes())

    bytes_ = (samples >> 8) if depth == 16 else samples * 255 // (2**depth - 1)
    alpha = np.full((height, width, 1), 255)
    if color == PALETTE:
        expected = colors[samples[..., 0]]
        alpha = alphas[samples] if keyed else alpha
    elif color in (GRAY_ALPHA, COLOR_ALPHA):
        expected, alpha = bytes_[..., :-1], bytes_[..., -1:]
    else:
        expected = bytes_
        if keyed:
            alpha = np.where((samples == key).all(axis=-1, keepdims=True), 0, 255)
    # Where everything is transparent, nothing would be seen.
    share = alpha / 255 if alpha.any() else np.ones_like(alpha)
    on_white = np.broadcast_to(expected * share + 255 * (1 - share), (height, width, 3))

    decoded = decode_image(png(samples, color, depth, extra))
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, on_white, atol=1)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_look_like_what_was_encoded(mode: str, progressive: bool) -> None:
    original = smooth().convert(mode)
    decoded = decode_image(encode(original, "JPEG", quality=98, subsampling=0, progressive=progressive))
    expected = np.asarray(original.convert("RGB"), dtype=int)
    assert np.abs(decoded - expected).mean() < 3


def test_a_jpeg_decodes_to_pillows_pixels() -> None:
    data = encode(smooth(), "JPEG", quality=80, comment=b"metadata does not change pixels")
    np.testing.assert_array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_image_is_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(smooth(), kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.flags["C_CONTIGUOUS"]


@given(garbage=st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"MM\0*\0\0\0\x08" + tail))
@settings(max_examples=100, deadline=None)
def test_damaged_metadata_is_ignored(garbage: bytes) -> None:
    plain = encode(smooth(), "JPEG")
    payload = b"Exif\0\0" + garbage
    segments = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload for marker in (0xE1, 0xE2, 0xFE)
    )
    np.testing.assert_array_equal(
        np.sort(decode_image(plain[:2] + segments + plain[2:]), axis=None),
        np.sort(decode_image(plain), axis=None),
    )


def test_hostile_png_chunks_are_not_unpacked() -> None:
    samples = np.zeros((16, 16, 3), dtype=np.uint16)
    bomb = b"key\0\0" + zlib.compress(bytes(80_000_000), 9)
    extra = chunk(b"zTXt", bomb) + chunk(b"acTL", b"\0") + chunk(b"iCCP", b"nonsense") + chunk(b"eXIf", b"MM")
    assert not decode_image(png(samples, COLOR, 8, extra)).any()


def test_size_is_checked_before_decoding() -> None:
    # There are no pixels in these files: only their headers are read.
    huge = PNG_SIGNATURE + header(20_000, 20_000)
    with pytest.raises(
        ImageError, match=r"at most 16,000,000 pixels, got 20000 x 20000 = 400,000,000; scale"
    ):
        decode_image(huge)
    frame = b"\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xda\x00\x02"
    with pytest.raises(ImageError, match="got 65535 x 65535"):
        decode_image(b"\xff\xd8" + frame)
    with pytest.raises(ImageError, match="at most 1,000 pixels, got 64 x 48"):
        decode_image(encode(smooth(), "PNG"), max_pixels=1000)


def test_a_second_header_cannot_smuggle_in_a_larger_size() -> None:
    whole = png(np.zeros((64, 64, 3), dtype=np.uint16), COLOR, 8)
    with pytest.raises(ImageError, match="declares two sizes, 16 x 16 and"):
        decode_image(PNG_SIGNATURE + header(16, 16) + whole[8:])


def test_the_size_of_another_chunk_does_not_count() -> None:
    whole = png(np.zeros((64, 64, 3), dtype=np.uint16), COLOR, 8)
    with pytest.raises(ImageError, match="declares two sizes, 16 x 16 and"):
        decode_image(PNG_SIGNATURE + chunk(b"abcd", header(16, 16)[8:21]) + whole[8:])


@pytest.mark.parametrize(("height", "width"), [(15, 40), (40, 15), (1, 1)])
def test_too_small_images_are_refused(height: int, width: int) -> None:
    with pytest.raises(ImageError, match=f"at least 16 pixels on each side, got {width} x {height}"):
        decode_image(encode(smooth(height, width), "PNG"))


def test_the_smallest_image_is_accepted() -> None:
    assert decode_image(encode(smooth(16, 16), "PNG")).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (encode(smooth(), "GIF"), "GIF"),
        (encode(smooth(), "WEBP"), "WebP"),
        (encode(smooth(), "BMP"), "BMP"),
        (encode(smooth(), "TIFF"), "TIFF"),
        (b"<!DOCTYPE html><p>404</p>", "HTML"),
        (b"\n  <html><body>", "HTML"),
        (b'<svg xmlns="x"/>', "SVG"),
        (b"%PDF-1.7\n\x00", "PDF"),
        (b"\0\0\0\x1cftypavif\0", "AVIF"),
        (b"\0\0\0\x1cftypheic\0", "HEIC"),
        (b"\x00\x01\x02\x03\x04", "an unknown format that starts with the bytes 00 01 02 03"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, found: str) -> None:
    with pytest.raises(ImageError, match=f"must be a JPEG or PNG file, got {found}.*; convert it"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_truncated_file_is_refused(kind: str) -> None:
    whole = encode(smooth(), kind)
    image = decode_image(whole)
    for length in range(3, len(whole), max(1, len(whole) // 150)):
        try:
            decoded = decode_image(whole[:length])
        except ImageError:
            continue
        # Only check sums and end markers, which carry no pixel, may be missing.
        assert length > len(whole) - 24
        np.testing.assert_array_equal(decoded, image)


@given(data=st.binary(max_size=300), prefix=st.sampled_from([b"", b"\xff\xd8\xff", PNG_SIGNATURE]))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_only_image_errors(data: bytes, prefix: bytes) -> None:
    with pytest.raises(ImageError, match=";"):
        decode_image(prefix + data)


def test_threads_decode_independently() -> None:
    images = [encode(smooth(40 + i, 50 + i), kind) for i in range(8) for kind in ("JPEG", "PNG")]
    alone = [decode_image(data) for data in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode_image, images * 5))
    for index, image in enumerate(together):
        np.testing.assert_array_equal(image, alone[index % len(alone)])
