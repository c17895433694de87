"""Labeled faces for the gate."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.data._labeled import LabeledFaces, StoredFaces, open_labeled
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import DataError, ImageError, UsageError
from lnlattennet.model._preprocessing import Preprocessing

RECIPE = Preprocessing(size=16)
CLASSES = ("happy", "angry", "sad")


def labeled(data: str, split: str | None, limit: int, classes: Sequence[str]) -> LabeledFaces:
    return open_labeled(data, split, limit, classes).load(RECIPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """split/class/*.png; an image's red tells its class: 40 times its place in CLASSES."""
    root = tmp_path_factory.mktemp("data") / "faces"
    for split, count in (("train", 9), ("test", 6)):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                image = np.full((20, 24, 3), (40 * label, index, 0), np.uint8)
                Image.fromarray(image).save(root / split / name / f"{index}.png")
    return root


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[::-1], ("sad", "happy", "angry")])
def test_labels_are_matched_by_name_whatever_the_order(folder: Path, classes: tuple[str, ...]) -> None:
    found = labeled(str(folder), None, 100, classes)
    assert len(found.faces) == len(found.labels) == 18
    assert found.name == f"{folder}, split test"
    names = [CLASSES[red // 40] for red in found.faces.images[:, 8, 8, 0]]
    assert names == [classes[label] for label in found.labels]


def test_a_limit_draws_from_all_classes_and_always_the_same(folder: Path) -> None:
    first, again = (labeled(str(folder), "train", 12, CLASSES) for _ in range(2))
    assert len(first.faces) == 12
    assert set(first.labels.tolist()) == {0, 1, 2}
    assert np.array_equal(first.faces.images, again.faces.images)
    assert len(labeled(str(folder), "all", 100, CLASSES).labels) == 45


def test_classes_that_differ_are_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"only the checkpoint has fear and only .*faces has angry, sad"):
        labeled(str(folder), None, 100, ("happy", "fear"))
    with pytest.raises(UsageError, match="only rendered faces has"):
        labeled("synthetic", None, 4, EXPRESSIONS[1:])


def test_names_are_matched_however_their_accents_are_stored(folder: Path, tmp_path: Path) -> None:
    for place, name in enumerate(("cole\u0300re", "joie")):
        shutil.copytree(folder / "test" / CLASSES[place], tmp_path / "test" / name)
    for classes in (("joie", "col\u00e8re"), ("joie", "cole\u0300re")):
        assert labeled(str(tmp_path), None, 100, classes).labels.tolist() == [1] * 6 + [0] * 6


def test_a_split_that_is_not_there_names_those_that_are(folder: Path) -> None:
    with pytest.raises(DataError, match="has no split 'val'; it has: train, test"):
        labeled(str(folder), "val", 100, CLASSES)
    with pytest.raises(UsageError, match="--split must be one of train, val, test or all, got 'dev'"):
        labeled(str(folder), "dev", 100, CLASSES)
    with pytest.raises(UsageError, match="--split of rendered faces must be one of"):
        labeled("synthetic", "all", 4, EXPRESSIONS)
    with pytest.raises(UsageError, match="--split of rendered faces must be one of train, val, test, got ''"):
        labeled("synthetic", "", 4, EXPRESSIONS)
    with pytest.raises(DataError, match="does not exist"):
        labeled(str(folder / "none"), None, 100, CLASSES)


def test_a_damaged_picture_is_named(folder: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "test" / name).mkdir(parents=True)
        for index in range(4):
            source = folder / "test" / name / f"{index}.png"
            (tmp_path / "test" / name / f"{index}.png").write_bytes(source.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"0\.png"):
        labeled(str(tmp_path), None, 100, CLASSES)


def test_rendered_faces_have_their_expressions_as_labels() -> None:
    classes = EXPRESSIONS[::-1]
    found = labeled("synthetic", None, 9, classes)
    assert [classes[label] for label in found.labels] == [EXPRESSIONS[i % len(EXPRESSIONS)] for i in range(9)]
    assert found.name == "rendered faces, split test"
    assert found.faces.images.shape == (9, 16, 16, 3)


def test_stored_faces_are_normalized_when_taken() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    faces = StoredFaces(images, RECIPE)
    order = np.array([4, 0, 4])
    assert len(faces) == 6
    assert np.array_equal(faces[order], RECIPE.normalize(images)[order])
