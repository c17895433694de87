"""The readers of images, for training and serving alike, against Pillow, OpenCV and what was encoded."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lnlattennet.errors import ImageError
from lnlattennet.images import _decode
from lnlattennet.images._decode import Detail, as_jpeg_or_png, decode, decode_image, read_data_set_image
from lnlattennet.images._read import read_image
from lnlattennet.images.containers._jpeg import MAX_SCANS
from tests.images.corpus import (
    Sample,
    chunk,
    corpus,
    encode,
    exif,
    scene,
    shown,
    with_chunks,
    with_segments,
    xmp_text,
)

SAMPLES = {sample.name: sample for sample in corpus()}
SERVED = [name for name, sample in SAMPLES.items() if sample.data[:2] in (b"\xff\xd8", b"\x89P")]


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def by_opencv(data: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image[..., ::-1], np.uint8)


def test_every_reader_shows_what_is_in_the_file(tmp_path: Path) -> None:
    assert len(SAMPLES) > 500
    path = tmp_path / "file"
    for name, sample in SAMPLES.items():
        path.write_bytes(sample.data)
        trained = read_data_set_image(path).pixels
        assert trained.shape == sample.upright().shape, name
        assert np.abs(trained.astype(int) - sample.upright()).max() <= 1, name
        assert np.array_equal(decode_image(as_jpeg_or_png(sample.data)), trained), name


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "PPM"])
def test_a_file_that_servers_refuse_for_its_size_is_refused_before_its_pixels_are_decoded(kind: str) -> None:
    data = encode(Image.new("L", (16_000, 1001)), kind)
    with pytest.raises(ImageError, match=r"at most 16,000,000 pixels, got 16000 x 1001"):
        as_jpeg_or_png(data[: len(data) // 2])


@pytest.mark.parametrize(("other", "tolerance"), [("pillow", 0), ("opencv", 2)])
def test_other_libraries_show_the_same(other: str, tolerance: int) -> None:
    oracle = {"pillow": by_pillow, "opencv": by_opencv}[other]
    compared = [sample for sample in SAMPLES.values() if other in sample.others]
    assert len(compared) > 30
    for sample in compared:
        ours, theirs = sample.upright().astype(int), oracle(sample.data)
        assert np.abs(ours - theirs).max() <= tolerance, sample.name


def test_pillow_images_are_read_as_their_files_are() -> None:
    for name in SERVED:
        sample = SAMPLES[name]
        if "pillow" in sample.others:
            with Image.open(io.BytesIO(sample.data)) as image:
                np.testing.assert_allclose(read_image(image), sample.upright(), atol=1, err_msg=name)


def test_files_with_missing_pixels_stay_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for pixels, progressive in itertools.product((scene(), noise), (False, True)):
        data = encode(pixels, "JPEG", progressive=progressive)
        scans = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
        tables = [data.rfind(b"\xff\xc4", 0, scan) for scan in scans[1:]]
        for end in (len(data) // 2, len(data) - 12, len(data) - 4, *tables):
            for trailer in (b"", bytes(9000), b"\0\0\1\x0aEmbedded" + bytes(9000), b"text " * 2000, data):
                with pytest.raises(ImageError, match="is damaged"):
                    decode_image(data[:end] + trailer)


@pytest.mark.parametrize(("width", "height", "scale", "turn"), [(5712, 4284, 2, 6), (8160, 6120, 4, 1)])
def test_a_large_photograph_is_decoded_at_a_reduced_size(
    width: int, height: int, scale: int, turn: int
) -> None:
    small = scene(height // 24, width // 24)
    large = Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)
    data = with_segments(encode(large, "JPEG"), exif(turn))
    image = decode(data)
    assert (image.width, image.height) == ((width, height) if turn == 1 else (height, width))
    assert image.scale == scale
    assert image.pixels.shape == (image.height // scale, image.width // scale, 3)
    expected = Image.fromarray(small).transpose(Image.Transpose.ROTATE_270) if turn == 6 else small
    again = Image.fromarray(image.pixels).resize(
        (image.width // 24, image.height // 24), Image.Resampling.BOX
    )
    assert np.abs(np.asarray(again, int) - np.asarray(expected, int)).max() < 12


@pytest.mark.parametrize(
    ("long_side", "short_side", "scale"),
    [(321, 1, 1), (320, 1, 1), (161, 1, 1), (160, 120, 2), (160, 121, 1), (80, 60, 4), (41, 1, 4), (1, 1, 8)],
)
def test_a_photograph_keeps_the_detail_that_is_enough(long_side: int, short_side: int, scale: int) -> None:
    small = scene(30, 40)
    large = Image.fromarray(small).resize((320, 240), Image.Resampling.NEAREST)
    enough = Detail(long_side, short_side)
    image = decode(encode(large, "JPEG", quality=95), enough=enough)
    assert (image.width, image.height, image.scale) == (320, 240, scale)
    assert image.pixels.shape == (240 // scale, 320 // scale, 3)
    again = Image.fromarray(image.pixels).resize((40, 30), Image.Resampling.BOX)
    assert np.abs(np.asarray(again, int) - small).max() < 12
    png = encode(large, "PNG")
    assert np.array_equal(decode(png, enough=enough).pixels, decode_image(png))


def test_a_path_is_read_as_a_data_set_is(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM"):
        (tmp_path / "file").write_bytes(encode(scene(), kind))
        assert np.array_equal(read_image(tmp_path / "file"), read_data_set_image(tmp_path / "file").pixels)


def test_pillow_images_that_are_large_are_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decode, "MAX_PIXELS", 1000)
    assert read_image(Image.fromarray(scene(40, 50))).shape == (20, 25, 3)
    with pytest.raises(ImageError, match="at most 5,000 pixels, got 100 x 90"):
        read_image(Image.fromarray(scene(90, 100)))


def test_a_progressive_file_may_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decode, "MAX_COEFFICIENTS", 4000)
    data = encode(scene(), "JPEG", progressive=True, subsampling=2)
    with pytest.raises(ImageError, match=r"at most 4,000 samples in all channels, got 4,608; scale"):
        decode_image(data)
    assert decode_image(encode(scene(), "JPEG", subsampling=2)).shape == (48, 64, 3)


def test_hostile_numbers_of_parts_are_refused() -> None:
    jpeg, png = encode(scene(), "JPEG", progressive=True), encode(scene(), "PNG")
    with pytest.raises(ImageError, match=f"at most {MAX_SCANS} scans"):
        decode_image(jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * MAX_SCANS + b"\xff\xd9")
    with pytest.raises(ImageError, match="at most 100,000 segments"):
        decode_image(jpeg[:2] + b"\xff\xfe\0\2" * 100_001 + jpeg[2:])
    with pytest.raises(ImageError, match="at most 100,000 chunks"):
        decode_image(with_chunks(png, chunk(b"aaaa", b"") * 100_001))


def test_a_bomb_of_text_is_unpacked_once_and_in_part() -> None:
    bombs = xmp_text(bytes(5_000_000), compressed=True) * 50
    np.testing.assert_array_equal(decode_image(with_chunks(encode(scene(), "PNG"), bombs)), scene())


def test_the_range_of_samples_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    from lnlattennet.images._color import _say_range

    _say_range.cache_clear()
    dark = encode(Image.fromarray(np.full((20, 20), 4095, np.uint16)), "PNG")
    for _ in range(3):
        assert (decode_image(dark) == 255).all()
    assert [record.getMessage() for record in caplog.records] == [
        "images of 16 bits per channel hold values of 12 bits at most: they are read by that range"
    ]


def test_a_looped_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(ImageError, match=r"loop\.jpg"):
        read_data_set_image(tmp_path / "loop.jpg")


def test_the_corpus_is_not_upright_by_itself() -> None:
    stored = shown(encode(scene(), "PNG"))
    for turn in range(2, 9):
        assert not np.array_equal(Sample("", b"", stored, turn).upright(), stored)
