"""Equalized images are told from photographs, also from those whose contrast was stretched otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage import data as samples

from lnlattennet.data.preparation._equalization import is_equalized
from lnlattennet.images._decode import decode_image
from tests.data.preparation.photographs import face

Gray = NDArray[np.uint8]


real_faces: Callable[[], NDArray[np.float64]] = samples.lfw_subset


def by_opencv(image: Gray) -> Gray:
    return cv2.equalizeHist(image).astype(np.uint8)


def by_pillow(image: Gray) -> Gray:
    return np.asarray(ImageOps.equalize(Image.fromarray(image)))


def stretched(image: Gray) -> Gray:
    """The full range of levels, not evenly used."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(image)))


@cache
def photographs(side: int) -> list[Gray]:
    """Real faces and rendered ones, gray."""
    real = [(image * 255).round().astype(np.uint8) for image in real_faces()[:60]]
    rendered = [np.asarray(Image.fromarray(face(seed)).convert("L")) for seed in range(6)]
    return [resized(image, side) for image in (*real, *rendered)]


def resized(image: Gray, side: int) -> Gray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def share(images: list[Gray], kind: str) -> float:
    return float(np.mean([is_equalized(decode_image(encoded(image, kind))) for image in images]))


def encoded(image: Gray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("side", [48, 112])
def test_equalized_faces_are_told_from_others(side: int, kind: str) -> None:
    images = photographs(side)
    for equalize in (by_opencv, by_pillow):
        assert share([equalize(image) for image in images], kind) > 0.8
    for change in (np.asarray, stretched):
        assert share([change(image) for image in images], kind) < 0.05


def test_resized_faces_stay_equalized() -> None:
    assert share([resized(by_opencv(image), 112) for image in photographs(48)], "JPEG") > 0.8


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "chelsea", "rocket", "brick", "grass"])
def test_photographs_of_anything_are_not_equalized(name: str) -> None:
    image = np.asarray(Image.fromarray(getattr(samples, name)()).convert("RGB"))
    assert not is_equalized(image)
    gray = Image.fromarray(image).convert("L")
    assert is_equalized(np.asarray(ImageOps.equalize(gray).convert("RGB")))


def test_a_blank_image_is_not_equalized() -> None:
    for level in (0, 128, 255):
        assert not is_equalized(np.full((48, 48, 3), level, np.uint8))
