"""From an encoded image to the network's input."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.errors import ImageError
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._preprocessing import Preprocessing

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
