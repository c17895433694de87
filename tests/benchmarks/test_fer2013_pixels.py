"""FER2013 with its original pixels, of small copies with drawn faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.benchmarks.leaderboard.fer2013_pixels import match, run
from lnlattennet.data import load_dataset
from lnlattennet.data.synthetic import EXPRESSIONS, render_face
from lnlattennet.errors import DataError, UsageError

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
PER_CLASS = 3


def drawn(seed: int) -> NDArray[np.uint8]:
    face = render_face(seed, EXPRESSIONS[seed % len(EXPRESSIONS)], size=48, with_regions=False).image
    return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) // 2 + 90, np.uint8)


@pytest.fixture
def copies(tmp_path: Path) -> dict[str, NDArray[np.uint8]]:
    """Write the labeled, equalized copy and the one with the pixels, which lacks each split's first face."""
    originals: dict[str, NDArray[np.uint8]] = {}
    for number, (folder, pixels) in enumerate(FOLDERS.items()):
        names = [f"{folder}/{name}/Face_{index}" for name in CLASSES for index in range(PER_CLASS)]
        faces = {name: drawn(100 * number + seed) for seed, name in enumerate(names)}
        order = np.random.default_rng(number).permutation(names[1:])
        for name, face in faces.items():
            file = tmp_path / "labels" / f"{name}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(cv2.equalizeHist(face)).save(file, quality=75)
        (tmp_path / "pixels" / pixels).mkdir(parents=True)
        for row, name in enumerate(order):
            Image.fromarray(faces[name]).save(tmp_path / "pixels" / pixels / f"fer{row:07}.png")
        originals |= {name: faces[name] for name in order}
    return originals


def arguments(folder: Path) -> list[str]:
    return [
        *("--labels", str(folder / "labels")),
        *("--pixels", str(folder / "pixels")),
        *("--output", str(folder / "joined")),
    ]


def test_every_label_gets_the_pixels_of_its_photograph(
    copies: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    assert run(arguments(tmp_path)) == 0
    data = load_dataset(tmp_path / "joined")
    labels = {face.name.removesuffix(".png"): (face.label, face.split) for face in data.faces}
    wanted = load_dataset(tmp_path / "labels")
    assert labels == {face.name.removesuffix(".jpg"): (face.label, face.split) for face in wanted.faces}
    for name in labels:
        with Image.open(tmp_path / "joined" / f"{name}.png") as image:
            made = np.asarray(image)
        if name in copies:
            np.testing.assert_array_equal(made, copies[name], name)
        else:
            with Image.open(tmp_path / "labels" / f"{name}.jpg") as image:
                np.testing.assert_array_equal(made, np.asarray(image), name)


def test_images_without_a_partner_match_nothing() -> None:
    blank = np.zeros((48, 48), np.uint8)
    faces = [drawn(seed) for seed in range(4)]
    assert match([blank, faces[2], faces[0]], [faces[0], blank, faces[1], faces[2]]) == {0: 2, 3: 1}


def test_wrong_folders_are_refused(copies: dict[str, NDArray[np.uint8]], tmp_path: Path) -> None:
    (tmp_path / "pixels" / "FER2013Test").rename(tmp_path / "pixels" / "Other")
    with pytest.raises(DataError, match=r"FER2013Test must have images of FERPlus.*it has 0: give --pixels"):
        run(arguments(tmp_path))
    assert not (tmp_path / "joined").exists()


def test_a_folder_is_not_replaced(copies: dict[str, NDArray[np.uint8]], tmp_path: Path) -> None:
    (tmp_path / "joined").mkdir()
    with pytest.raises(UsageError, match=r"joined exists; choose another folder"):
        run(arguments(tmp_path))
