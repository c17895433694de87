"""A data set may be given as its best-known folder, not only as the one above."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lnlattennet.training.datasets import open_data
from tests.training.datasets import trees
from tests.training.datasets.checks import message


@pytest.mark.parametrize("root", ["OriginalImg", "B_OriginalImg", "renamed"])
def test_oulu_casia_may_be_given_as_its_root(root: str, tmp_path: Path) -> None:
    trees.build_oulu_casia(tmp_path, root)
    data = open_data(tmp_path / root)
    assert data.format == "oulu-casia"
    assert len(data) == trees.SUBJECTS * 6 * 3
    assert all(face.name.startswith("VL/Strong/P00") for face in data.faces)
    assert data.picture(0).shape == (32, 40, 3)


def test_the_root_of_oulu_casia_is_known_without_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.build_oulu_casia(tmp_path)
    shutil.rmtree(tmp_path / "OriginalImg" / "VL")
    monkeypatch.chdir(tmp_path / "OriginalImg")
    assert "is no whole Oulu-CASIA tree: VL/Strong is missing here and in OriginalImg" in message(Path())


@pytest.mark.parametrize("labels", ["Emotion", "Emotion_labels/Emotion"])
def test_ckplus_may_be_given_as_its_images(
    labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.build_ckplus(tmp_path, labels)
    whole = open_data(tmp_path)
    monkeypatch.chdir(tmp_path / "cohn-kanade-images")
    for path in (tmp_path / "cohn-kanade-images", Path()):
        data = open_data(path)
        assert (data.format, data.faces) == ("ckplus", whole.faces)
        assert data.picture(0).shape == (32, 32, 3)
    assert open_data(tmp_path / "cohn-kanade-images", "ckplus-neutral").class_names[0] == "neutral"


def test_images_of_ckplus_without_labels_beside_them_are_told_where_to_look(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    (tmp_path / "Emotion").rename(tmp_path / "elsewhere")
    text = message(tmp_path / "cohn-kanade-images")
    assert f"{tmp_path} is no whole CK+ tree: the folder of label files is missing" in text
    assert "give the folder that holds cohn-kanade-images and Emotion side by side" in text


def test_a_folder_that_is_called_like_ckplus_images_but_holds_all_is_read(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path / "cohn-kanade-images")
    assert open_data(tmp_path / "cohn-kanade-images").root == tmp_path / "cohn-kanade-images"
