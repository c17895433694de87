"""People's own data: any class names, with or without splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lnlattennet.data import load_dataset
from tests.data import trees
from tests.data.checks import message


def test_a_folder_of_ones_own_keeps_its_names_and_passes_over_the_rest(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, ("Train", "VALID", "test"))
    (tmp_path / "Train" / "calm" / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "Train" / "calm" / "list.txt").write_text("no image")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "test" / "grin" / "0.png").unlink()
    (tmp_path / "test" / "grin" / "1.png").unlink()
    data = load_dataset(tmp_path)
    assert data.class_names == ("calm", "frown", "grin")
    assert {split: sum(counts.values()) for split, counts in data.counts().items()} == {
        "train": 6,
        "val": 6,
        "test": 4,
    }
    assert any(note.startswith("ignored 3 ") and "list.txt" in note for note in data.notes)
    assert "test has no image of grin" in data.notes


def test_folders_inside_those_of_classes_are_told_of(tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    count = len(load_dataset(tmp_path))
    shutil.copytree(tmp_path / "train" / "calm", tmp_path / "train" / "calm" / "S1")
    data = load_dataset(tmp_path)
    assert len(data) == count
    note = "ignored 1 folders inside folders of images; no image in them is read: train/calm/S1/"
    assert note in data.notes


def test_images_beside_the_folders_of_classes_are_told_apart_from_other_files(tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    for name in ("a.JPG", "train/b.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"left out")
    notes = load_dataset(tmp_path).notes
    assert "ignored 2 images that lie in no folder of a class: a.JPG, train/b.png" in notes
    assert any(note.endswith("files that are no images: .hidden.png, notes.txt") for note in notes)


def test_digits_may_be_names_of_ones_own_classes(tmp_path: Path) -> None:
    trees.build_rafdb_digits(tmp_path)
    assert load_dataset(tmp_path, "folder").class_names == tuple("1234567")


def test_folders_of_ones_own_are_checked(tmp_path: Path) -> None:
    trees.build_folder(tmp_path / "one", classes=("calm",))
    assert "at least two folders of classes, has 1" in message(tmp_path / "one")
    trees.build_folder(tmp_path / "empty")
    for file in (tmp_path / "empty").glob("*/grin/*"):
        file.unlink()
    assert "no image of grin" in message(tmp_path / "empty")
    assert "train: calm 2, frown 2, grin 0" in message(tmp_path / "empty")
    trees.build_folder(tmp_path / "case", classes=("Calm", "calm", "grin"))
    assert "differ in case only, in spaces, or in the Unicode form" in message(tmp_path / "case")
    assert "accents: Calm, calm; give" in message(tmp_path / "case")
    trees.build_folder(tmp_path / "accents", classes=("caf\u00e9", "cafe\u0301", "grin"))
    assert "in the Unicode form of their accents" in message(tmp_path / "accents")
    trees.build_folder(tmp_path / "spaces", classes=("calm", "grin"))
    (tmp_path / "spaces" / "test" / "calm").rename(tmp_path / "spaces" / "test" / "calm ")
    assert "differ in case only, in spaces" in message(tmp_path / "spaces")
    trees.build_folder(tmp_path / "mixed")
    trees.build_folder(tmp_path / "mixed", splits=("more",))
    assert "folders of splits (test, train, val) beside others (more)" in message(tmp_path / "mixed")
    trees.build_folder(tmp_path / "twice", splits=("train", "valid", "val"))
    assert "two folders for one split" in message(tmp_path / "twice")


@pytest.mark.parametrize(
    "splits",
    [
        ("Training", "PublicTest", "PrivateTest"),
        ("training", "valid", "testing"),
        ("TRAIN", "Validation", "TEST"),
    ],
)
def test_splits_by_other_names(splits: tuple[str, str, str], tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=splits)
    data = load_dataset(tmp_path)
    for split, name in zip(("train", "val", "test"), splits, strict=True):
        assert {face.name.partition("/")[0] for face in data.split(split).faces} == {name}


@pytest.mark.parametrize(
    ("name", "published"),
    [("hapiness", "happiness"), ("Surpriise", "surprise"), ("neutrol", "neutral"), ("sadd", "sadness")],
)
def test_a_misspelled_class_is_told_of(name: str, published: str, tmp_path: Path) -> None:
    trees.build_folder(tmp_path, classes=("fear", "unhappy", "unhappiness", "distrust", name))
    [note] = load_dataset(tmp_path).notes
    assert f"another name in the published data sets: {name} ({published}); rename" in note


@pytest.mark.parametrize("name", ["calm ", " calm", "very  calm"])
def test_spaces_that_do_not_show_are_told_of(name: str, tmp_path: Path) -> None:
    """A model with such a class would fit no other data."""
    trees.build_folder(tmp_path, classes=(name, "very grim"))
    [note] = [note for note in load_dataset(tmp_path).notes if "spaces that do not show" in note]
    assert repr(name) in note
    assert "grim" not in note
