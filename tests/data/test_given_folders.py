"""A data set may be given as its best-known folder, not only as the one above."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import load_dataset
from tests.data import trees
from tests.data.checks import message


@pytest.mark.parametrize(
    ("build", "inner", "folder", "format"),
    [
        (trees.build_oulu_casia, "OriginalImg", "OriginalImg", "oulu-casia"),
        (trees.build_oulu_casia, "B_OriginalImg", "B_OriginalImg", "oulu-casia"),
        (trees.build_ckplus, "Emotion", "cohn-kanade-images", "ckplus"),
        (trees.build_ckplus, "Emotion_labels/Emotion", "cohn-kanade-images", "ckplus"),
    ],
)
def test_the_faces_are_the_same_when_the_best_known_folder_is_given(
    build: Callable[[Path, str], None],
    inner: str,
    folder: str,
    format: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a fold that was trained on one is found again on the other."""
    build(tmp_path, inner)
    whole = load_dataset(tmp_path)
    assert len(whole) > 0
    monkeypatch.chdir(tmp_path / folder)
    for path in (tmp_path / folder, Path()):
        data = load_dataset(path)
        assert (data.format, data.faces) == (format, whole.faces)
        assert np.array_equal(data.read(data.faces[0]), whole.read(whole.faces[0]))


def test_the_images_of_ckplus_may_be_read_with_neutral_faces(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    assert load_dataset(tmp_path / "cohn-kanade-images", "ckplus-neutral").class_names[0] == "neutral"


def test_of_two_roots_of_oulu_casia_the_given_one_is_read(tmp_path: Path) -> None:
    for root in ("OriginalImg", "B_OriginalImg", "renamed"):
        trees.build_oulu_casia(tmp_path, root)
        assert {face.name.partition("/")[0] for face in load_dataset(tmp_path / root).faces} == {root}


def test_the_root_of_oulu_casia_is_known_without_its_images(tmp_path: Path) -> None:
    trees.build_oulu_casia(tmp_path)
    shutil.rmtree(tmp_path / "OriginalImg" / "VL" / "Strong")
    for path in (tmp_path, tmp_path / "OriginalImg"):
        assert (
            f"{tmp_path} is not a complete Oulu-CASIA data set: OriginalImg/VL/Strong is missing"
            in message(path)
        )


@pytest.mark.parametrize("name", ["OriginalImg", "Oulu_CASIA_NIR_VIS", "cohn-kanade-images"])
def test_a_tree_of_ones_own_is_not_known_by_its_name(name: str, tmp_path: Path) -> None:
    trees.build_folder(tmp_path / name)
    assert load_dataset(tmp_path / name).format == "folder"


def test_ck48_may_lie_in_a_folder_that_is_called_like_ckplus_images(tmp_path: Path) -> None:
    trees.build_ck48(tmp_path / "cohn-kanade-images")
    assert load_dataset(tmp_path / "cohn-kanade-images").format == "ck48"


def test_images_of_ckplus_without_labels_beside_them_are_told_where_to_look(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    (tmp_path / "Emotion").rename(tmp_path / "elsewhere")
    text = message(tmp_path / "cohn-kanade-images")
    assert f"{tmp_path} is not a complete CK+ data set: the folder of label files is missing" in text
    assert "give the folder that holds cohn-kanade-images and Emotion side by side" in text


def test_a_folder_that_is_called_like_ckplus_images_but_holds_all_is_read(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path / "cohn-kanade-images")
    assert load_dataset(tmp_path / "cohn-kanade-images").root == tmp_path / "cohn-kanade-images"


def test_a_folder_called_ck48_is_no_tree_of_ones_own(tmp_path: Path) -> None:
    """Read as one, its subjects would be lost, and folds would share them."""
    trees.build_ck48(tmp_path / "CK+48")
    known = load_dataset(tmp_path / "CK+48")
    (tmp_path / "CK+48" / "happy").rename(tmp_path / "CK+48" / "happiness")
    assert load_dataset(tmp_path / "CK+48").labels().tolist() == known.labels().tolist()
    (tmp_path / "CK+48" / "happiness").rename(tmp_path / "CK+48" / "joy")
    assert "is not a complete CK+48 data set: unknown folders: joy" in message(tmp_path / "CK+48")


NEARBY = {
    name: entry
    for name, entry in trees.BUILDERS.items()
    if name not in ("folder", "plain-folder", "ck48", "prepared")
}


@pytest.mark.parametrize("name", NEARBY)
def test_one_folder_above_is_found_and_said(name: str, tmp_path: Path) -> None:
    build, format = NEARBY[name]
    build(tmp_path / "basic")
    (tmp_path / "readme.txt").touch()
    (tmp_path / "scripts" / "more").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    known = load_dataset(tmp_path / "basic", format)
    data = load_dataset(tmp_path, format)
    assert (data.faces, data.format) == (known.faces, format)
    assert np.array_equal(data.read(data.faces[0]), known.read(known.faces[0]))
    assert data.root == tmp_path / "basic"
    assert f"read from basic, the one folder in {tmp_path} with such a data set" in data.notes
    if name not in trees.MUST_BE_NAMED:
        assert load_dataset(tmp_path).faces == known.faces


def test_of_two_sets_one_folder_below_none_is_taken(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path / "a")
    trees.build_rafdb(tmp_path / "b")
    assert "several folders in it hold a data set (a: jaffe, b: rafdb): give one of them" in message(tmp_path)
    assert load_dataset(tmp_path, "jaffe").root == tmp_path / "a"
    trees.build_jaffe(tmp_path / "c")
    assert "several folders in it look like jaffe (a, c); give one of them" in message(tmp_path, "jaffe")


def test_ones_own_data_one_folder_below_are_named_not_taken(tmp_path: Path) -> None:
    """They could be anything: a folder of people, say, whose expressions are folders in theirs."""
    trees.build_folder(tmp_path / "faces")
    assert f"{tmp_path}: no format matches, but faces in it: give that; choose one" in message(tmp_path)


def test_digits_one_folder_below_are_named_with_both_orders(tmp_path: Path) -> None:
    """Kaggle's copy of RAF-DB has DATASET beside its lists."""
    trees.build_rafdb_digits(tmp_path / "DATASET")
    (tmp_path / "train_labels.csv").write_text("image,label\ntrain_00001_aligned.jpg,5\n")
    text = message(tmp_path)
    assert f"the class folders of {tmp_path / 'DATASET'} are bare digits" in text
    assert "--format rafdb-digits: 1 surprise" in text
    assert len(load_dataset(tmp_path, "rafdb-digits")) == 28


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("rafdb", "Image"),
        ("rafdb", "Image/aligned"),
        ("rafdb", "EmoLabel"),
        ("ferplus-folders", "FER2013Train"),
        ("ckplus", "Emotion"),
        ("ckplus", "cohn-kanade-images/S005"),
        ("oulu-casia", "OriginalImg/VL"),
        ("affectnet-8", "Manually_Annotated_Images"),
        ("affectnet-8", "Manually_Annotated_file_lists"),
        ("affectnet-npy-8", "train_set"),
        ("affectnet-npy-8", "train_set/images"),
    ],
)
def test_a_folder_inside_a_set_is_refused_with_the_one_above(name: str, inner: str, tmp_path: Path) -> None:
    build, format = trees.BUILDERS[name]
    build(tmp_path / "set")
    assert f"The folder above, {tmp_path / 'set'}, looks like {format}: give that one." in message(
        tmp_path / "set" / inner
    )
    assert "looks like" not in message(tmp_path / "set" / "nowhere")


def test_images_of_ckplus_may_lie_where_their_archive_unpacks_them(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    known = load_dataset(tmp_path)
    outer = tmp_path / "extended-cohn-kanade-images"
    outer.mkdir()
    (tmp_path / "cohn-kanade-images").rename(outer / "cohn-kanade-images")
    data = load_dataset(tmp_path)
    assert [face.label for face in data.faces] == [face.label for face in known.faces]
    assert data.read(data.faces[0]).shape == (32, 32, 3)
