"""From an encoded image to the network's input: the largest face, every face, or the center square."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.errors import ImageError, UsageError
from lnlattennet.images._decode import decode_image
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._preprocessing import Preprocessing, center_square, square_box

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut

PREPROCESSING = Preprocessing(size=48, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), face_margin=0.2)


def encoded(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def test_the_face_is_cropped_and_normalized() -> None:
    image = Image.fromarray(astronaut())
    prepared = FaceCropper(PREPROCESSING)(encoded(image))
    assert prepared.found
    left, top, right, bottom = prepared.box
    assert right - left == pytest.approx(bottom - top)
    assert (right - left) / 1.4 == pytest.approx(100, rel=0.2)

    crop = image.resize((48, 48), Image.Resampling.BILINEAR, box=prepared.box)
    expected = (np.asarray(crop, dtype=np.float64) / 255 - PREPROCESSING.mean) / PREPROCESSING.std
    face = PREPROCESSING.normalize(prepared.face)
    assert face.dtype == np.float32
    assert face.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(face, expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(("width", "scale"), [(990, 1), (1000, 2), (2000, 4)])
def test_a_large_photograph_gives_the_same_face_with_less_detail(width: int, scale: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(astronaut()).resize((width, width)).save(stream, "JPEG", quality=95)
    crop, whole = FaceCropper(PREPROCESSING), decode_image(stream.getvalue())
    ours, theirs = crop(stream.getvalue()), crop(whole)
    assert (ours.image_scale, ours.found) == (scale, True)
    np.testing.assert_allclose(ours.box, theirs.box, atol=width / 100)
    same_box = (*np.array(ours.box) / scale,)
    expected = PREPROCESSING.crop(whole, ours.box).astype(int)
    assert np.abs(PREPROCESSING.crop(ours.image, same_box) - expected).mean() < 2
    if scale == 1:
        np.testing.assert_array_equal(ours.face, theirs.face)


def test_no_face_that_is_found_is_enlarged_for_lack_of_detail() -> None:
    for size in (48, 112, 224):
        preprocessing = Preprocessing(size=size, face_margin=0)
        enough = FaceCropper(preprocessing).enough
        assert enough is not None
        assert enough.short_side == size
        assert enough.long_side * 22 / 320 >= size


def test_the_box_refers_to_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8  # viewers turn this by 90 degrees counterclockwise
    upright = Image.fromarray(astronaut()[:300])
    stored = encoded(upright.transpose(Image.Transpose.ROTATE_270), exif=exif)
    turned, straight = FaceCropper(PREPROCESSING)(stored), FaceCropper(PREPROCESSING)(encoded(upright))
    assert turned.found
    assert turned.box == straight.box
    np.testing.assert_array_equal(turned.face, straight.face)


def test_without_a_face_the_center_is_prepared() -> None:
    prepared = FaceCropper(PREPROCESSING)(encoded(Image.new("RGB", (80, 60), (102, 51, 0))))
    assert not prepared.found
    assert prepared.box == (10, 0, 70, 60)
    face = PREPROCESSING.normalize(prepared.face)
    expected = np.array([0, -1.2, -2], dtype=np.float32)
    np.testing.assert_allclose(face, np.broadcast_to(expected[:, None, None], (3, 48, 48)), atol=1e-5)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="must be a JPEG or PNG"):
        FaceCropper(PREPROCESSING)(b"GIF89a")


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (4000, 16), (48, 48), (21, 23)])
def test_images_of_any_shape_get_a_box_inside(shape: tuple[int, int]) -> None:
    height, width = shape
    crop = FaceCropper(PREPROCESSING)(np.full((height, width, 3), 128, dtype=np.uint8))
    assert crop.box == center_square(width, height)


def two_astronauts() -> NDArray[np.uint8]:
    canvas = np.full((512, 900, 3), 90, dtype=np.uint8)
    canvas[:200, :211] = np.asarray(Image.fromarray(astronaut()[:256, 90:360]).resize((211, 200)))
    canvas[:, 388:] = astronaut()
    return canvas


def test_every_face_is_cropped_largest_first() -> None:
    cropper = FaceCropper(PREPROCESSING)
    crops = cropper.crop_faces(two_astronauts(), max_faces=10)
    assert [crop.status for crop in crops] == ["ok", "ok"]
    assert crops[0].box[0] > 388
    assert crops[1].box[2] < 211
    largest = cropper(two_astronauts())
    assert crops[0].box == largest.box
    np.testing.assert_array_equal(crops[0].face, largest.face)
    for crop in crops:
        np.testing.assert_array_equal(crop.face, PREPROCESSING.crop(crop.image, crop.box))


def test_faces_are_limited_in_number_and_marked_when_too_small() -> None:
    cropper = FaceCropper(PREPROCESSING)
    assert len(cropper.crop_faces(two_astronauts(), max_faces=1)) == 1
    sizes = cropper.crop_faces(two_astronauts(), max_faces=10, min_face=95)
    assert [(crop.status, crop.found) for crop in sizes] == [("ok", True), ("too_small", True)]


def test_without_a_face_the_center_square_is_the_only_crop() -> None:
    (crop,) = FaceCropper(PREPROCESSING).crop_faces(np.full((60, 80, 3), 90, np.uint8), 5, 20)
    assert (crop.status, crop.found, crop.score, crop.landmarks) == ("no_face", False, 0.0, None)
    assert crop.box == (10, 0, 70, 60)


def test_numbers_out_of_range_are_refused() -> None:
    cropper = FaceCropper(PREPROCESSING)
    with pytest.raises(UsageError, match="max_faces must be at least 1 and at most 2147483647, got 0"):
        cropper.crop_faces(astronaut(), 0)
    with pytest.raises(UsageError, match="min_face must be a size in pixels from 0, got nan"):
        cropper.crop_faces(astronaut(), 1, float("nan"))


def test_an_unknown_finder_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="unknown face finder 'eyes'"):
        FaceCropper(Preprocessing(face_finder="eyes"))


@given(
    corners=st.tuples(*[st.floats(-50, 250)] * 4),
    margin=st.floats(0, 1),
    width=st.integers(16, 300),
    height=st.integers(16, 300),
)
@settings(max_examples=200, deadline=None)
def test_square_boxes_are_square_and_inside(
    corners: tuple[float, ...], margin: float, width: int, height: int
) -> None:
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    assume(right - left >= 1)
    assume(bottom - top >= 1)
    x, y, x_end, y_end = square_box((left, top, right, bottom), margin, width, height)
    assert x_end - x == pytest.approx(y_end - y)
    assert x_end - x == pytest.approx(min(max(right - left, bottom - top) * (1 + 2 * margin), width, height))
    assert x >= 0
    assert y >= 0
    assert x_end <= width + 1e-9
    assert y_end <= height + 1e-9


@pytest.mark.parametrize("resize_filter", ["bilinear", "bicubic", "lanczos"])
def test_a_crop_is_what_pillow_cuts_out_of_the_whole_image(resize_filter: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (600, 1100, 3), dtype=np.uint8)
    whole, preprocessing = Image.fromarray(image), Preprocessing(size=48, resize_filter=resize_filter)
    resampling = Image.Resampling[resize_filter.upper()]
    for side in (1, 17.3, 48, 110.5, 599.9, 600):
        left, top = rng.uniform(0, 1100 - side), rng.uniform(0, 600 - side)
        for x, y in ((left, top), (0, top), (1100 - side, 600 - side), (int(left), int(top))):
            box = (x, y, min(x + side, 1100), min(y + side, 600))
            expected = np.asarray(whole.resize((48, 48), resampling, box=box))
            np.testing.assert_array_equal(preprocessing.crop(image, box), expected)


def test_both_normalizations_give_the_same_bits() -> None:
    preprocessing = Preprocessing(size=16, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))
    faces = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    normalized = preprocessing.normalize(faces)
    assert normalized.flags.c_contiguous
    np.testing.assert_array_equal(np.moveaxis(normalized, 1, -1), preprocessing.normalize_pixels(faces))
