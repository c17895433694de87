"""Mirrors with a folder per class: bare digits, FER2013's names, and own data that looks like either."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import load_dataset
from tests.data import trees
from tests.data.checks import message


@pytest.mark.parametrize("first", [0, 1])
def test_a_third_split_of_digits_is_read_like_the_others(first: int, tmp_path: Path) -> None:
    name = "rafdb-digits0" if first == 0 else "rafdb-digits"
    trees.build_rafdb_digits(tmp_path, first)
    shutil.copytree(tmp_path / "test", tmp_path / "valid")
    data = load_dataset(tmp_path, name)
    assert Counter(face.split for face in data.faces) == {"train": 14, "val": 14, "test": 14}
    labels = {split: [face.label for face in data.split(split).faces] for split in ("train", "val", "test")}
    assert labels["train"] == labels["val"] == labels["test"]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_digits_with_val_and_no_test_have_the_official_test_there(
    name: str, first: int, tmp_path: Path
) -> None:
    """As most public code for RAF-DB has it."""
    format = "rafdb-digits0" if first == 0 else "rafdb-digits"
    trees.build_rafdb_digits(tmp_path, first)
    labels = [face.label for face in load_dataset(tmp_path, format).faces]
    (tmp_path / "test").rename(tmp_path / name)
    data = load_dataset(tmp_path, format)
    assert [face.label for face in data.faces] == labels
    assert Counter(face.split for face in data.faces) == {"train": 14, "test": 14}
    assert any(note.startswith(f"{name} is read as the test split") for note in data.notes)
    assert np.array_equal(data.read(data.faces[-1]), data.read(data.split("test").faces[-1]))


def test_a_third_split_with_other_digits_is_refused_with_its_counts(tmp_path: Path) -> None:
    trees.build_rafdb_digits(tmp_path)
    trees.write_image(tmp_path / "valid" / "9" / "0.jpg")
    text = message(tmp_path, "rafdb-digits")
    assert "val must have the folders 1 to 7, has 9" in text
    assert "expected:\n  train/1/*" in text
    assert "  val: 9 1\n" in text
    shutil.rmtree(tmp_path / "valid" / "9")
    shutil.copytree(tmp_path / "test", tmp_path / "valid", dirs_exist_ok=True)
    for file in (tmp_path / "valid" / "3").iterdir():
        file.unlink()
    assert "no image of disgust in val" in message(tmp_path, "rafdb-digits")


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("split", ["", "train/"])
def test_digits_beside_another_folder_stay_ambiguous(split: str, first: int, tmp_path: Path) -> None:
    splits = ("train", "test") if split else ()
    trees.build_folder(tmp_path, splits, [str(first + index) for index in range(7)])
    trees.write_image(tmp_path / f"{split}extra" / "0.png")
    text = message(tmp_path)
    assert "beside others (extra), which are in neither order: move them away" in text
    assert "--format rafdb-digits: 1 surprise, 2 fear, 3 disgust" in text
    assert "--format rafdb-digits0: 0 neutral, 1 happiness, 2 sadness" in text
    assert load_dataset(tmp_path, "folder").class_names == (*map(str, range(first, first + 7)), "extra")


def test_a_few_digits_among_names_are_classes_of_ones_own(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, classes=("1", "2", "3", "other"))
    assert load_dataset(tmp_path).class_names == ("1", "2", "3", "other")


@pytest.mark.parametrize("absent", [("disgust",), ("disgust", "neutral")])
def test_a_fer2013_mirror_without_a_class_is_no_data_of_ones_own(
    absent: tuple[str, ...], tmp_path: Path
) -> None:
    trees.build_fer2013_folders(tmp_path)
    for name in absent:
        shutil.rmtree(tmp_path / "train" / name)
        shutil.rmtree(tmp_path / "test" / name)
    text = message(tmp_path)
    assert (
        f"is not a complete FER2013 data set: no folder {', '.join(absent)}; if these are other data" in text
    )
    assert "  train: angry 2, " in text
    assert "  test: angry 2, " in text
    assert "Unpack the whole data set again" in text
    assert "read them with --format folder" in text
    assert len(load_dataset(tmp_path, "folder").class_names) == 7 - len(absent)


@pytest.mark.parametrize(
    "classes",
    [
        ("angry", "happy", "sad", "neutral"),
        ("angry", "disgust", "fear", "happy", "surprise", "contempt"),
        (*trees.FER2013_NAMES, "contempt"),
    ],
)
def test_few_of_fer2013s_names_or_another_one_are_ones_own(classes: tuple[str, ...], tmp_path: Path) -> None:
    trees.build_folder(tmp_path, ("train", "test"), classes)
    assert load_dataset(tmp_path).format == "folder"


@pytest.mark.parametrize("splits", [("train", "val"), ("train", "validation"), ("train",), ()])
def test_fer2013s_names_without_its_splits_are_ones_own(splits: tuple[str, ...], tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits, trees.FER2013_NAMES)
    data = load_dataset(tmp_path)
    assert data.format == "folder"
    assert data.class_names == tuple(sorted(trees.FER2013_NAMES))
    [note] = data.notes
    assert "another name in the published data sets: angry (anger), happy (happiness), sad (sadness)" in note


def test_a_fer2013_mirror_whose_test_folder_is_empty_is_half_unpacked(tmp_path: Path) -> None:
    trees.build_fer2013_folders(tmp_path)
    shutil.rmtree(tmp_path / "test")
    (tmp_path / "test").mkdir()
    assert "no image of anger, disgust" in message(tmp_path)
