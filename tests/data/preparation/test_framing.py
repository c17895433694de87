"""A network is told when its training saw other crops than a server will make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lnlattennet.data import FaceData, load_dataset
from lnlattennet.data._records import Framing
from lnlattennet.data.preparation._framing import face_preprocessing, framing_notes
from lnlattennet.errors import ConfigError, UsageError
from lnlattennet.images.finders._registry import finder_named
from lnlattennet.model._preprocessing import Preprocessing
from tests.data import trees

HAAR = finder_named("haar").version()


def opened(name: str, folder: Path, faces: str = "auto") -> FaceData:
    build, format = trees.BUILDERS[name]
    build(folder)
    return load_dataset(folder, format, faces=faces)  # type: ignore[arg-type]


def test_a_server_crops_as_the_data_set_did(tmp_path: Path) -> None:
    data = opened("ferplus-folders", tmp_path)
    recipe = face_preprocessing(64, data)
    assert recipe == Preprocessing(size=64, face_margin=0.02, face_finder_version=HAAR)
    assert framing_notes(data, recipe, training=True) == ()
    assert face_preprocessing(64, data, "libfacedetection").face_margin == 0
    assert face_preprocessing(64, data, margin=0.3).face_margin == 0.3
    [note] = framing_notes(data, replace(recipe, face_margin=0.1), training=False)
    assert note.startswith("these face crops show what haar crops with margin 0.02, the network's is 0.1")


def test_photographs_are_cropped_by_the_default(tmp_path: Path) -> None:
    data = opened("jaffe", tmp_path)
    recipe = face_preprocessing(64, data)
    assert recipe == Preprocessing(size=64, face_finder_version=HAAR)
    assert framing_notes(data, recipe, training=True) == ()


def test_an_unknown_framing_is_a_warning_in_training(tmp_path: Path) -> None:
    data = opened("ck48", tmp_path)
    recipe = face_preprocessing(64, data)
    [note] = framing_notes(data, recipe, training=True)
    assert "not known how the face crops of the format ck48 compare" in note
    assert framing_notes(data, recipe, training=False) == ()


@pytest.mark.parametrize(
    ("name", "faces", "warning"),
    [
        ("jaffe", "as-is", "--faces as-is took the images of the format jaffe as they are"),
        ("folder", "as-is", "not all are face crops"),
        ("ferplus-folders", "crop", "--faces crop searched images that the format ferplus calls face crops"),
    ],
)
def test_faces_made_against_the_formats_word(name: str, faces: str, warning: str, tmp_path: Path) -> None:
    data = opened(name, tmp_path, faces)
    [note] = framing_notes(data, face_preprocessing(64, data), training=True)
    assert warning in note


def test_another_version_of_the_finder(tmp_path: Path) -> None:
    data = opened("jaffe", tmp_path)
    [note] = framing_notes(data, Preprocessing(face_finder_version="0.1"), training=False)
    assert (
        note
        == f"the network was trained with faces of haar 0.1, and {HAAR} is installed: its boxes may differ"
    )


def test_other_alignment(tmp_path: Path) -> None:
    framing = Framing("libfacedetection", 0.1, "1", "five-points")
    data = replace(opened("prepared", tmp_path), framings=(framing,))
    recipe = face_preprocessing(64, data)
    # The version that made the crops, whichever is installed where the network is trained.
    assert (recipe.face_alignment, recipe.face_finder_version) == ("five-points", "1")
    [note] = framing_notes(data, Preprocessing(face_finder="libfacedetection"), training=False)
    assert "have alignment five-points, the network's is none" in note


def test_wrong_recipes() -> None:
    with pytest.raises(UsageError, match=r"--finder must be one of haar, .*, got 'eyes'"):
        face_preprocessing(64, finder="eyes")
    with pytest.raises(ConfigError, match="face_margin must be from 0 to 1, got 2"):
        face_preprocessing(64, margin=2)
    with pytest.raises(ConfigError, match="needs landmarks, which the face finder haar does not give"):
        face_preprocessing(64, alignment="five-points")
