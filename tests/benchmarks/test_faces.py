"""The face finders' benchmark: scenes whose truth follows the pixels, and a record of every outcome."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.benchmarks.faces._measure import lies_on
from lnlattennet.benchmarks.faces._scenes import KnownFace, Studio, read_faceless, read_portraits
from lnlattennet.benchmarks.figures import render
from lnlattennet.errors import DataError
from lnlattennet.images.finders._base import FoundFace

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut
coffee: Callable[[], NDArray[np.uint8]] = data.coffee

EYES_AND_MOUTH = {0: (202, 100), 1: (238, 98), 87: (207, 140), 93: (235, 139)}
BOX = (186, 62, 262, 165)
"""The astronaut's, read off the image, in pixels."""


def write_portrait(folder: Path, name: str, image: NDArray[np.uint8]) -> None:
    points = np.tile([(BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2], (189, 1))
    points[109], points[125] = BOX[:2], BOX[2:]
    for index, point in EYES_AND_MOUTH.items():
        points[index] = point
    Image.fromarray(image).save(folder / f"{name}.jpg", quality=95)
    rows = "\n".join(f"{x}\t{y}" for x, y in points)
    (folder / f"{name}.tem").write_text(f"189\n{rows}\n44\n")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    portraits, faceless = tmp_path / "portraits", tmp_path / "faceless"
    portraits.mkdir()
    faceless.mkdir()
    for index in range(5):
        write_portrait(portraits, str(index), astronaut())
    Image.fromarray(coffee()).save(faceless / "coffee.png")
    return portraits, faceless


def test_the_truth_follows_the_pixels(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A pure red mark in a gray image has the left eye's place in every scene."""
    marked = np.full((512, 512, 3), 90, np.uint8)
    x, y = EYES_AND_MOUTH[0]
    marked[y - 6 : y + 7, x - 6 : x + 7] = (255, 0, 0)
    folder = tmp_path / "marked"
    folder.mkdir()
    write_portrait(folder, "marked", marked)
    gray = [np.full((512, 512, 3), 90, np.uint8)]
    for condition, scenes in Studio(read_portraits([folder]) * 5, gray).scenes().items():
        for scene in scenes[:1]:
            red = scene.image[..., 0].astype(int) - scene.image[..., 1]
            if condition == "8 pixels wide":
                continue
            rows, columns = np.nonzero(red > 0.6 * red.max())
            marks = np.stack([columns + 0.5, rows + 0.5], axis=1)
            for face in scene.faces:
                distance = np.linalg.norm(marks - face.landmarks[0], axis=1).min()
                assert distance < 0.03 * face.size + 1, condition


def test_a_box_lies_on_a_face_by_overlap_or_by_center_and_size() -> None:
    known = KnownFace((100, 100, 200, 220), ())
    assert lies_on(FoundFace((110, 120, 190, 200), 0.9), known)
    assert lies_on(FoundFace((120, 130, 182, 192), 0.9), known)
    assert not lies_on(FoundFace((140, 150, 170, 180), 0.9), known)
    assert not lies_on(FoundFace((190, 100, 290, 220), 0.9), known)
    assert not lies_on(FoundFace((0, 0, 400, 400), 0.9), known)


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no landmarks \(NAME.tem beside NAME.jpg\)"):
        read_portraits([tmp_path])
    with pytest.raises(DataError, match="name a folder of images without faces"):
        read_faceless([tmp_path])


@pytest.mark.parametrize(
    "text",
    ["100\n" + "1\t2\n" * 100 + "44\n", "189\n" + "1\t2\n" * 100, "", "189\n" + "1\t2\t3\n" * 189, "NaN\n"],
)
def test_a_template_of_another_kind_is_named(text: str, tmp_path: Path) -> None:
    write_portrait(tmp_path, "face", astronaut())
    (tmp_path / "face.tem").write_text(text)
    with pytest.raises(DataError, match=r"face\.tem must say 189 and then have as many landmarks"):
        read_portraits([tmp_path])


@pytest.mark.slow
def test_every_finder_is_recorded_for_every_face(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A process of its own: it sets the number of threads."""
    path = tmp_path / "2026-01-01-faces.json"
    command = [sys.executable, "-m", "lnlattennet.benchmarks.faces", "--portraits", str(folders[0])]
    command += ["--faceless", str(folders[1]), "--rounds", "2", "--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    record = json.loads(path.read_text())
    for condition, finders in record["outcomes"].items():
        assert {len(outcomes) for outcomes in finders.values()} == {5}, condition
        assert {"haar", "libfacedetection"} <= set(finders)
    assert record["outcomes"]["upright"]["libfacedetection"] == [2] * 5
    assert record["outcomes"]["turned 20 degrees"]["libfacedetection"] == [2] * 5
    assert [len(counts) for counts in record["false_alarms"].values()].count(5) == len(record["false_alarms"])
    for name, facts in record["finders"].items():
        assert bool(facts["failed"]) == (name not in record["false_alarms"])
    table = render(path)
    assert "| upright (5) | 100.0% | 100.0% |" in table
    assert "BSD-3-Clause" in table
