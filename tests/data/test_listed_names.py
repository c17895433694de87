"""Lists that give a file's name in another case, with another ending or in another Unicode form."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lnlattennet.data import load_dataset
from lnlattennet.data._files import find_files
from tests.data import trees
from tests.data.checks import message

RENAMED: dict[str, Callable[[str], str]] = {
    "ending in upper case": lambda name: name.rpartition(".")[0] + name[name.rindex(".") :].upper(),
    "all in upper case": str.upper,
    "capital": str.capitalize,
    "png": lambda name: name.rpartition(".")[0] + ".png",
    "PNG": lambda name: name.rpartition(".")[0] + ".PNG",
    "jpeg": lambda name: name.rpartition(".")[0] + ".jpeg",
    "bmp": lambda name: name.rpartition(".")[0] + ".bmp",
}


@pytest.mark.parametrize("renamed", RENAMED)
@pytest.mark.parametrize("name", ["rafdb", "rafdb-original", "ferplus-folders", "affectnet-8"])
def test_the_file_that_is_meant_is_read_and_said(name: str, renamed: str, tmp_path: Path) -> None:
    build, format = trees.BUILDERS[name]
    build(tmp_path)
    before = load_dataset(tmp_path, format)
    moved = 0
    for face in before.faces[::3]:
        old = tmp_path / face.name
        new = old.with_name(RENAMED[renamed](old.name))
        if new != old:
            with Image.open(old) as image:
                image.load()
            old.unlink()
            image.save(new)
            moved += 1
    data = load_dataset(tmp_path, format)
    assert [(face.split, face.label) for face in data.faces] == [(f.split, f.label) for f in before.faces]
    for face, first in list(zip(data.faces, before.faces, strict=True))[:4]:
        assert data.read(face).shape == before.read(first).shape if (tmp_path / first.name).exists() else True
    assert all((tmp_path / face.name).is_file() for face in data.faces)
    notes = [note for note in data.notes if "another case or ending" in note]
    assert [note.partition(" ")[0] for note in notes] == ([str(moved)] if moved else [])


def test_of_two_files_that_a_name_could_mean_none_is_taken(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    image = tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg"
    for ending in (".png", ".bmp"):
        image.with_suffix(ending).write_bytes(image.read_bytes())
    image.unlink()
    assert "names 28 images, 1 of them missing" in message(tmp_path)


def test_a_file_that_the_list_has_itself_is_no_other_face(tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", unicodedata.normalize("NFD", "é.png"), "c.txt"):
        (tmp_path / name).touch()
    names = ["a.png", "a.jpg", "b.jpg", "é.png", "c.jpg", "d/a.png"]
    decomposed = unicodedata.normalize("NFD", "é.png")
    assert find_files(tmp_path, names) == {"a.png": "a.png", "b.jpg": "b.JPG", "é.png": decomposed}
