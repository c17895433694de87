"""Haar finder: the portrait's face wherever it is, every face of several, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from lnlattennet.errors import UnavailableError
from lnlattennet.images.finders._base import FaceFinder, FoundFace
from lnlattennet.images.finders._haar import create
from lnlattennet.model._preprocessing import Box

Pixels = NDArray[np.uint8]

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut

FACE_CENTER = np.array([224.0, 114.0])
FACE_SIDE = 100.0
"""Box of the astronaut's face, read off the image, in pixels."""


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    image: Pixels = astronaut()
    return image


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return create()


def center_and_side(box: Box) -> tuple[NDArray[np.float64], float]:
    left, top, right, bottom = box
    assert right - left == pytest.approx(bottom - top)
    return np.array([(left + right) / 2, (top + bottom) / 2]), right - left


def assert_face(face: FoundFace, center: NDArray[np.float64], face_side: float) -> None:
    found_center, side = center_and_side(face.box)
    assert np.abs(found_center - center).max() < 0.15 * face_side
    assert 0.8 < side / face_side < 1.25
    assert face.size == pytest.approx(side)
    assert 0.5 <= face.score < 1
    assert face.landmarks is None


def test_the_astronauts_face_is_found(portrait: Pixels, finder: FaceFinder) -> None:
    (face,) = finder(portrait)
    assert_face(face, FACE_CENTER, FACE_SIDE)


@pytest.mark.parametrize("scale", [0.3, 0.7, 2.0, 3.1])
def test_the_box_is_in_pixels_of_the_image_at_every_size(
    portrait: Pixels, finder: FaceFinder, scale: float
) -> None:
    resized = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert_face(finder(resized.astype(np.uint8))[0], scale * FACE_CENTER, scale * FACE_SIDE)


@pytest.mark.parametrize("corner", [(0, 0), (700, 0), (300, 688)])
def test_a_small_face_in_a_large_image_is_found(
    portrait: Pixels, finder: FaceFinder, corner: tuple[int, int]
) -> None:
    x, y = corner
    canvas = np.full((1200, 1212, 3), 90, dtype=np.uint8)
    canvas[y : y + 512, x : x + 512] = portrait
    assert_face(finder(canvas)[0], FACE_CENTER + np.array(corner, dtype=float), FACE_SIDE)


def test_the_largest_of_two_faces_is_first(portrait: Pixels, finder: FaceFinder) -> None:
    canvas = np.full((512, 900, 3), 90, dtype=np.uint8)
    canvas[:200, :211] = cv2.resize(portrait[:256, 90:360], (211, 200), interpolation=cv2.INTER_AREA)
    canvas[:, 388:] = portrait
    large = FACE_CENTER + np.array([388.0, 0.0])
    assert_face(finder(canvas)[0], large, FACE_SIDE)
    both = finder(canvas, all_sizes=True)
    assert len(both) == 2
    assert_face(both[0], large, FACE_SIDE)
    assert_face(both[1], (FACE_CENTER - [90, 0]) * 200 / 256, FACE_SIDE * 200 / 256)


@pytest.mark.parametrize("name", ["coffee", "rocket", "gravel", "text"])
@pytest.mark.parametrize("all_sizes", [False, True])
def test_no_face_is_found_where_there_is_none(finder: FaceFinder, name: str, all_sizes: bool) -> None:
    image = getattr(data, name)()
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    assert finder(image, all_sizes=all_sizes) == []


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (4000, 16), (1, 1), (48, 48), (21, 23)])
def test_images_of_any_shape_are_searched(finder: FaceFinder, shape: tuple[int, int]) -> None:
    assert finder(np.full((*shape, 3), 128, dtype=np.uint8), all_sizes=True) == []


def test_the_image_is_left_as_it_was(portrait: Pixels, finder: FaceFinder) -> None:
    copy = portrait.copy()
    finder(copy, all_sizes=True)
    np.testing.assert_array_equal(copy, portrait)


def test_threads_share_a_finder(portrait: Pixels, finder: FaceFinder) -> None:
    images = [np.roll(portrait, 15 * i, axis=1) for i in range(4)] + [portrait[:, ::-1].copy()]
    alone = [finder(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(finder, images * 6)) == alone * 6


@pytest.mark.parametrize("content", [None, b"", b"damaged", b"<opencv_storage></opencv_storage>"])
def test_a_missing_or_damaged_cascade_is_named_before_a_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "haarcascade_frontalface_alt2.xml").write_bytes(content)
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"alt2.xml, which is missing or damaged: pip install --force"):
        create()
