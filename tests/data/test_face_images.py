"""Faces for verification and calibration: rendered ones never meet, images are prepared as for training."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.data._face_images import calibration_faces, read_faces, verification_faces
from lnlattennet.errors import DataError, ImageError
from lnlattennet.model._preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 images of one gray each, 0 to 195, in two folders; and files that are none."""
    root = tmp_path / "images"
    for index in range(40):
        path = root / ("a" if index < 20 else "b/deeper") / f"{index:02}.{'PNG' if index % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 32), (5 * index,) * 3).save(path, "PNG")
    (root / "notes.txt").write_text("no image")
    (root / ".hidden.png").write_text("no image")
    return root


def grays(faces: NDArray[np.float32]) -> list[int]:
    return [round(float(value * 0.25 + 0.5) * 255) for value in faces[:, 0, 0, 0]]


def test_rendered_faces_differ_and_calibration_never_meets_verification() -> None:
    verification, calibration = verification_faces(6, PREPROCESSING), calibration_faces(6, PREPROCESSING)
    for faces in (verification, calibration):
        assert faces.shape == (6, 3, 16, 16)
        assert faces.dtype == np.float32
    every = np.concatenate([verification, calibration]).reshape(12, -1)
    assert len(np.unique(every, axis=0)) == 12
    np.testing.assert_array_equal(calibration, calibration_faces(6, PREPROCESSING))


@pytest.mark.parametrize("draw", [verification_faces, calibration_faces])
def test_rendered_faces_are_the_same_whatever_threads_opencv_has(
    draw: Callable[[int, Preprocessing], NDArray[np.float32]],
) -> None:
    before = cv2.getNumThreads()
    drawn = []
    try:
        for threads in (1, 4):
            cv2.setNumThreads(threads)
            drawn.append(draw(14, Preprocessing()))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_images_are_read_recursively_in_order_and_prepared(folder: Path) -> None:
    faces = read_faces(folder, PREPROCESSING, 100)
    assert faces.shape == (40, 3, 16, 16)
    assert faces.dtype == np.float32
    assert grays(faces) == [5 * index for index in range(40)]


def test_of_too_many_images_evenly_spread_ones_are_taken(folder: Path) -> None:
    chosen = grays(read_faces(folder, PREPROCESSING, 33))
    assert len(chosen) == 33
    assert (chosen[0], chosen[-1]) == (0, 195)
    assert set(np.diff(chosen)) == {5, 10}


def test_a_folder_that_does_not_serve_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere; name one with face images"):
        read_faces(tmp_path / "nowhere", PREPROCESSING, 40)
    with pytest.raises(DataError, match=r"there is no folder .*notes\.txt"):
        read_faces(folder / "notes.txt", PREPROCESSING, 40)
    with pytest.raises(DataError, match="has 20 images, calibration needs at least 32; add"):
        read_faces(folder / "a", PREPROCESSING, 40)


def test_copies_of_one_face_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        read_faces(folder, PREPROCESSING, 40, "as-is")
        assert not caplog.records
        first = (folder / "a" / "00.png").read_bytes()
        for path in folder.rglob("[0-9]*.*"):
            path.write_bytes(first)
        read_faces(folder, PREPROCESSING, 40, "as-is")
    assert "only 1 of 40 faces are different" in caplog.text


def test_images_without_a_face_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        read_faces(folder, PREPROCESSING, 40)
    assert f"{folder}: faces were found in 0 of 40 images" in caplog.text
    assert "no face was found in 40 images, whose center square counts: a/00.png, a/01.PNG" in caplog.text


def test_a_file_that_is_no_image_is_named(folder: Path) -> None:
    (folder / "a" / "13.png").write_bytes(b"not a image")
    with pytest.raises(ImageError, match=r"a/13\.png is damaged, or no image"):
        read_faces(folder, PREPROCESSING, 40)


def test_reading_faces_imports_no_torch() -> None:
    module = "lnlattennet.data._face_images"
    code = f"import sys, {module}; assert not {{'torch', 'lightning'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
