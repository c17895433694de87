"""Face search: the portrait's face wherever it is, and the center where there is none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from lnlattennet.images._face_detector import FaceFinder
from lnlattennet.model._preprocessing import Box, center_square, square_box

Pixels = NDArray[np.uint8]

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut

MARGIN = 0.1
FACE_CENTER = np.array([224.0, 114.0])
FACE_SIDE = 100.0
"""Box of the astronaut's face, read off the image, in pixels."""


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    image: Pixels = astronaut()
    return image


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(MARGIN)


def center_and_side(box: Box) -> tuple[NDArray[np.float64], float]:
    left, top, right, bottom = box
    assert right - left == pytest.approx(bottom - top)
    return np.array([(left + right) / 2, (top + bottom) / 2]), right - left


def assert_box(box: Box, center: NDArray[np.float64], face_side: float) -> None:
    found_center, side = center_and_side(box)
    assert np.abs(found_center - center).max() < 0.15 * face_side
    assert 0.8 < side / (face_side * (1 + 2 * MARGIN)) < 1.25


def test_the_astronauts_face_is_found(portrait: Pixels, finder: FaceFinder) -> None:
    location = finder(portrait)
    assert location.found
    assert_box(location.box, FACE_CENTER, FACE_SIDE)


@pytest.mark.parametrize("scale", [0.3, 0.7, 2.0, 3.1])
def test_the_box_is_in_pixels_of_the_image_at_every_size(
    portrait: Pixels, finder: FaceFinder, scale: float
) -> None:
    resized = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    location = finder(resized.astype(np.uint8))
    assert location.found
    assert_box(location.box, scale * FACE_CENTER, scale * FACE_SIDE)


@pytest.mark.parametrize("corner", [(0, 0), (700, 0), (300, 688)])
def test_a_small_face_in_a_large_image_is_found(
    portrait: Pixels, finder: FaceFinder, corner: tuple[int, int]
) -> None:
    x, y = corner
    canvas = np.full((1200, 1212, 3), 90, dtype=np.uint8)
    canvas[y : y + 512, x : x + 512] = portrait
    location = finder(canvas)
    assert location.found
    assert_box(location.box, FACE_CENTER + np.array(corner, dtype=float), FACE_SIDE)


def test_the_largest_of_two_faces_is_taken(portrait: Pixels, finder: FaceFinder) -> None:
    canvas = np.full((512, 900, 3), 90, dtype=np.uint8)
    canvas[:300, :300] = cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)
    canvas[:, 388:] = portrait
    assert_box(finder(canvas).box, FACE_CENTER + np.array([388.0, 0.0]), FACE_SIDE)


@pytest.mark.parametrize("name", ["coffee", "rocket", "gravel", "text"])
def test_without_a_face_the_center_square_is_taken(finder: FaceFinder, name: str) -> None:
    image = getattr(data, name)()
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    location = finder(image)
    assert not location.found
    height, width = image.shape[:2]
    assert location.box == center_square(width, height)


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (4000, 16), (1, 1), (48, 48), (21, 23)])
def test_images_of_any_shape_get_a_box_inside(finder: FaceFinder, shape: tuple[int, int]) -> None:
    height, width = shape
    left, top, right, bottom = finder(np.full((height, width, 3), 128, dtype=np.uint8)).box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_the_image_is_left_as_it_was(portrait: Pixels, finder: FaceFinder) -> None:
    copy = portrait.copy()
    finder(copy)
    np.testing.assert_array_equal(copy, portrait)


def test_threads_share_a_finder(portrait: Pixels, finder: FaceFinder) -> None:
    images = [np.roll(portrait, 15 * i, axis=1) for i in range(4)] + [portrait[:, ::-1].copy()]
    alone = [finder(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(finder, images * 6)) == alone * 6


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
