"""Decoding image files of data sets: every format and mode to RGB, and ImageError with the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lnlattennet.errors import ImageError
from lnlattennet.images._decode import DATA_SET_MAX_PIXELS, decode_image, read_data_set_image
from tests.data.trees import pixels

GRAY = pixels("gray", (40, 32), 1)[..., 0]
COLOR = pixels("color", (40, 32))


def saved(folder: Path, image: Image.Image, suffix: str = ".png", **options: Any) -> Path:
    path = folder / f"image{suffix}"
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".pgm", ".webp"])
def test_gray_becomes_three_equal_channels(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(GRAY), suffix, lossless=True)
    np.testing.assert_array_equal(read_data_set_image(path).pixels, np.stack([GRAY] * 3, axis=-1))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm", ".webp"])
def test_colors_stay(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(COLOR), suffix, lossless=True)
    np.testing.assert_array_equal(read_data_set_image(path).pixels, COLOR)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_of_16_bits_the_upper_8_are_kept(suffix: str, tmp_path: Path) -> None:
    values = GRAY.astype(np.uint16) * 256 + 77
    path = saved(tmp_path, Image.fromarray(values), suffix)
    np.testing.assert_array_equal(read_data_set_image(path).pixels[..., 0], GRAY)


def test_of_a_pgm_of_16_bits_the_upper_8_are_kept(tmp_path: Path) -> None:
    values = (GRAY.astype(np.uint16) * 256 + 77).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 40 32 65535\n" + values.tobytes())
    np.testing.assert_array_equal(read_data_set_image(tmp_path / "a.pgm").pixels[..., 0], GRAY)


def test_palettes_and_bilevel_images(tmp_path: Path) -> None:
    coarse = COLOR // 128 * 255
    palette = Image.fromarray(coarse).quantize(16)
    np.testing.assert_array_equal(
        read_data_set_image(saved(tmp_path, palette)).pixels, np.asarray(palette.convert("RGB"))
    )
    bilevel = Image.fromarray(GRAY).convert("1")
    np.testing.assert_array_equal(
        read_data_set_image(saved(tmp_path, bilevel)).pixels[..., 2], np.asarray(bilevel) * 255
    )


def test_transparent_parts_show_white(tmp_path: Path) -> None:
    alpha = np.zeros((32, 40, 1), np.uint8)
    alpha[:16] = 255
    path = saved(tmp_path, Image.fromarray(np.concatenate([COLOR, alpha], axis=-1)))
    image = read_data_set_image(path).pixels
    np.testing.assert_array_equal(image[:16], COLOR[:16])
    assert (image[16:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_training_reads_images_as_the_server_does(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(COLOR), suffix, exif=exif)
    image = read_data_set_image(path).pixels
    assert image.shape == ((40, 32, 3) if orientation >= 5 else (32, 40, 3))
    np.testing.assert_array_equal(image, decode_image(path.read_bytes()))


def test_too_large_images_are_refused_by_name_before_they_are_decoded(tmp_path: Path) -> None:
    side = 16_000
    assert side * side > DATA_SET_MAX_PIXELS * 2
    for width in (side, 9_000):
        path = saved(tmp_path, Image.new("1", (width, 9_000)), ".png")
        with pytest.raises(
            ImageError,
            match=r"image\.png: an image may have at most 80,000,000 pixels",
        ):
            read_data_set_image(path)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_range_are_refused(mode: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new(mode, (32, 32)), ".tiff")
    with pytest.raises(ImageError, match="no fixed range"):
        read_data_set_image(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png is missing"):
        read_data_set_image(tmp_path / "gone.png")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".png", ".jpg", ".tiff", ".bmp", ".webp", ".ppm"]),
    keep=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_are_read_or_refused_by_name(
    suffix: str, keep: float, flips: list[tuple[float, int]], tmp_path: Path
) -> None:
    path = saved(tmp_path, Image.fromarray(COLOR), suffix)
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[int(place * len(data))] = value
    path.write_bytes(data[: int(keep * len(data))])
    refused = ""
    try:
        image = read_data_set_image(path).pixels
    except ImageError as error:
        refused = str(error)
    assert path.name in refused if refused else image.dtype == np.uint8 and image.shape[2] == 3
