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
