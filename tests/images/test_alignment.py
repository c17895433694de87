"""Alignment: a face turned, moved or scaled gives the same crop, and the same region as a plain crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data
from skimage.transform import SimilarityTransform

from lnlattennet.errors import ConfigError
from lnlattennet.images._alignment import TurnedSquare, align, crop_turned
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._preprocessing import Preprocessing

Pixels = NDArray[np.uint8]

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut
similarity: Callable[..., Any] = SimilarityTransform

ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""The usual five points in a crop of 112 pixels."""


@given(
    angle=st.floats(-3, 3), scale=st.floats(0.2, 20), x=st.floats(-100, 2000), y=st.floats(-100, 2000),
    noise=st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_it_is_the_least_squares_similarity(
    angle: float, scale: float, x: float, y: float, noise: int
) -> None:
    """scikit-image's estimate of the same similarity is the oracle."""
    points = similarity(scale=scale, rotation=angle, translation=(x, y))(ARCFACE)
    points = points + np.random.default_rng(noise).normal(0, 2 * scale, points.shape)
    square = align([(float(u), float(v)) for u, v in points], 0.1)
    expected = SimilarityTransform.from_estimate(ARCFACE, points)
    assert np.cos(square.angle - expected.rotation) == pytest.approx(1, abs=1e-4)
    assert square.side == pytest.approx(expected.scale * 112 / 1.0237 * 1.2, rel=2e-3)
    # The template is the usual one, moved by up to 6% of the side.
    assert np.linalg.norm(np.array(square.center) - expected([56.0, 56.0])[0]) < 0.08 * square.side


def test_an_upright_square_is_cropped_as_a_plain_one() -> None:
    preprocessing = Preprocessing(size=64)
    square = TurnedSquare((224.0, 120.0), 128.0, 0.0)
    plain = preprocessing.crop(astronaut(), square.box(512, 512))
    np.testing.assert_allclose(crop_turned(preprocessing, astronaut(), square).astype(int), plain, atol=1)


@pytest.mark.parametrize("degrees", [-150, -35, 20, 90])
@pytest.mark.parametrize("side", [40.0, 200.0])
def test_a_turned_square_is_cropped_upright(degrees: float, side: float) -> None:
    """Turning the image and cropping plainly is the oracle."""
    preprocessing = Preprocessing(size=64)
    center = (224.0, 120.0)
    square = TurnedSquare(center, side, np.deg2rad(degrees))
    # OpenCV counts from pixel centers.
    matrix = cv2.getRotationMatrix2D((223.5, 119.5), degrees, 1.0)
    smooth = cv2.GaussianBlur(astronaut(), (0, 0), 3).astype(np.uint8)
    upright = cv2.warpAffine(
        smooth, matrix, (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    expected = preprocessing.crop(upright.astype(np.uint8), TurnedSquare(center, side, 0.0).box(512, 512))
    difference = crop_turned(preprocessing, smooth, square).astype(int) - expected
    inner = difference[4:-4, 4:-4]
    assert np.abs(inner).mean() < 2


def test_a_square_beyond_the_image_repeats_its_edge() -> None:
    image = np.full((100, 80, 3), 200, np.uint8)
    crop = crop_turned(Preprocessing(size=48), image, TurnedSquare((-30.0, 110.0), 90.0, 0.5))
    assert crop.shape == (48, 48, 3)
    assert (crop == 200).all()


@pytest.mark.parametrize("degrees", [-20, 20])
def test_an_aligned_face_looks_like_the_upright_one(degrees: float) -> None:
    preprocessing = Preprocessing(size=64, face_finder="libfacedetection", face_alignment="five-points")
    cropper = FaceCropper(preprocessing)
    matrix = cv2.getRotationMatrix2D((224, 115), degrees, 1.0)
    turned = cv2.warpAffine(astronaut(), matrix, (512, 512)).astype(np.uint8)
    straight, aligned = cropper(astronaut()), cropper(turned)
    plain = FaceCropper(Preprocessing(size=64, face_finder="libfacedetection"))(turned)

    def likeness(crop: Pixels) -> float:
        return float(np.corrcoef(crop.ravel(), straight.face.ravel())[0, 1])

    assert likeness(aligned.face) > likeness(plain.face) + 0.1
    # The box to draw is upright, and about where a plain crop is.
    left, top, right, bottom = aligned.box
    assert right - left == pytest.approx(bottom - top)
    assert np.abs(np.subtract(aligned.box, plain.box)).max() < 0.25 * (right - left)


def test_alignment_shows_the_region_of_a_plain_crop() -> None:
    plain = FaceCropper(Preprocessing(face_finder="libfacedetection"))(astronaut())
    aligned = FaceCropper(Preprocessing(face_finder="libfacedetection", face_alignment="five-points"))(
        astronaut()
    )
    side = plain.box[2] - plain.box[0]
    assert np.abs(np.subtract(plain.box, aligned.box)).max() < 0.12 * side


def test_a_finder_without_landmarks_cannot_align() -> None:
    with pytest.raises(ConfigError, match="the face finder haar does not give: choose the finder libface"):
        FaceCropper(Preprocessing(face_alignment="five-points"))


def test_without_a_face_the_center_is_not_turned() -> None:
    preprocessing = Preprocessing(face_finder="libfacedetection", face_alignment="five-points")
    crop = FaceCropper(preprocessing)(np.full((60, 80, 3), 90, np.uint8))
    assert (crop.status, crop.box) == ("no_face", (10, 0, 70, 60))
