"""`lnlattennet data prepare`: a folder of faces that is read back as it was, or no folder at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from lnlattennet.data import load_dataset, load_prepared
from lnlattennet.data._cli import app
from lnlattennet.data.preparation._framing import face_preprocessing
from lnlattennet.errors import DataError, ImageError, UsageError
from tests.data import trees
from tests.data.preparation.photographs import build_jaffe


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_photographs_become_faces(tmp_path: Path) -> None:
    build_jaffe(tmp_path / "jaffe")
    result = run(tmp_path / "jaffe", "-o", tmp_path / "faces", "--size", 48, "--face-margin", 0.2, "--json")
    assert result.exit_code == 0, result.exception
    document = json.loads(result.stdout)
    assert document["preparation"] == {"faces": "cropped", "as_is": 0, "found": 13, "several": 0, "none": 1}
    assert document["without_face"] == ["KL.SU1.7.png"]
    assert document == json.loads((tmp_path / "faces" / "prepared.json").read_text())

    source, data = load_dataset(tmp_path / "jaffe"), load_dataset(tmp_path / "faces")
    assert (data.format, data.image_kind, data.notes) == ("prepared", "crops", ())
    recipe = face_preprocessing(48, data)
    assert recipe.face_margin == 0.2
    names = {document["sources"][face.name]: face for face in data.faces}
    faces, _ = load_prepared(source, recipe)
    for face, pixels in zip(source.faces, faces, strict=True):
        again = names[face.name]
        assert again.subject == face.subject
        assert data.class_names[again.label] == source.class_names[face.label]
        np.testing.assert_array_equal(data.read(again), pixels)
    with Image.open(tmp_path / "faces" / "faces.png") as sheet:
        pixels = np.asarray(sheet)
        assert (pixels == (0xC5, 0x22, 0x1F)).all(axis=-1).sum() > 1000
        assert sheet.height > 8 * 96


@pytest.mark.parametrize("name", ["ferplus", "rafdb", "folder", "ck48", "fer2013-folders"])
def test_splits_classes_and_people_are_kept(name: str, tmp_path: Path) -> None:
    build, format = trees.BUILDERS[name]
    build(tmp_path / "source")
    result = run(
        tmp_path / "source", "--format", format, "--faces", "as-is", "--size", 24, "-o", tmp_path / "faces"
    )
    assert result.exit_code == 0, result.exception
    source, data = load_dataset(tmp_path / "source", format), load_dataset(tmp_path / "faces")
    assert data.format == "prepared"
    assert data.framings == source.framings

    def counts(of: object) -> list[tuple[str | None, str, str | None]]:
        faces = [(face.split, of.class_names[face.label], face.subject) for face in of.faces]  # type: ignore[attr-defined]
        return sorted(faces, key=str)

    assert counts(data) == counts(source)


def test_a_row_of_a_csv_file_keeps_its_number(tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path / "source")
    assert run(tmp_path / "source", "--size", 24, "-o", tmp_path / "faces").exit_code == 0
    written = {face.name.rpartition("/")[2] for face in load_dataset(tmp_path / "faces").faces}
    assert written == {f"fer2013.csv_{line}.png" for line in range(2, 44)}


def test_names_of_other_images_that_are_no_text_are_told_so_that_the_faces_are_read(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path / "jaffe")
    trees.write_image(tmp_path / "montage.png")
    (tmp_path / "montage.png").rename(tmp_path / "jaffe" / os.fsdecode(b"m\xffntage.png"))
    assert run(tmp_path / "jaffe", "--faces", "as-is", "--size", 24, "-o", tmp_path / "faces").exit_code == 0
    assert len(load_dataset(tmp_path / "faces")) == 42
    notes = json.loads((tmp_path / "faces" / "prepared.json").read_text())["notes"]
    assert "left out 1 images with other names: m\ufffdntage.png" in notes


def test_names_too_long_with_their_folders_are_cut_and_kept_apart(tmp_path: Path) -> None:
    long = "\N{HIRAGANA LETTER A}" * 83
    for name in (f"calm/{long}a.png", f"calm/{long}b.png", "grin/c.png"):
        trees.write_image(tmp_path / "source" / name)
    result = run(tmp_path / "source", "--faces", "as-is", "--size", 24, "-o", tmp_path / "faces")
    assert result.exit_code == 0, result.exception
    data = load_dataset(tmp_path / "faces")
    assert [data.class_names[face.label] for face in data.faces] == ["calm", "calm", "grin"]
    sources = json.loads((tmp_path / "faces" / "prepared.json").read_text())["sources"]
    assert [sources[face.name] for face in sorted(data.faces, key=lambda face: sources[face.name])] == [
        f"calm/{long}a.png",
        f"calm/{long}b.png",
        "grin/c.png",
    ]


def test_names_that_differ_in_their_ending_only_are_kept_apart(tmp_path: Path) -> None:
    for name in ("calm/a.png", "calm/A.JPG", "grin/a.v2.png", "grin/a.v3.png"):
        trees.write_image(tmp_path / "source" / name)
    assert run(tmp_path / "source", "--faces", "as-is", "-o", tmp_path / "faces").exit_code == 0
    assert [face.name for face in load_dataset(tmp_path / "faces").faces] == [
        "calm/calm_A.png",
        "calm/calm_a-2.png",
        "grin/grin_a.v2.png",
        "grin/grin_a.v3.png",
    ]


@pytest.mark.parametrize(
    ("format", "source", "output"),
    [
        ("folder", ".", "."),
        ("folder", "data", "."),
        ("folder", ".", "train/calm"),
        ("fer2013", "fer2013.csv", "."),
    ],
)
def test_the_data_set_itself_is_not_replaced(format: str, source: str, output: str, tmp_path: Path) -> None:
    build, _ = trees.BUILDERS[format]
    build(tmp_path / "data" if source == "data" else tmp_path)
    (tmp_path / output / "prepared.json").write_text('{"framings": [], "subjects": {}}')
    before = sorted(tmp_path.rglob("*"))
    result = run(tmp_path / source, "--format", format, "-o", tmp_path / output, "--force")
    assert isinstance(result.exception, UsageError)
    assert "which --force would remove" in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_faces_are_not_written_into_the_data_set(tmp_path: Path) -> None:
    trees.build_folder(tmp_path / "source")
    result = run(tmp_path / "source", "-o", tmp_path / "source" / "faces")
    assert isinstance(result.exception, UsageError)
    assert "choose a folder outside" in str(result.exception)
    assert not (tmp_path / "source" / "faces").exists()


def test_a_damaged_image_leaves_nothing(tmp_path: Path) -> None:
    build_jaffe(tmp_path / "jaffe")
    (tmp_path / "jaffe" / "KL.SA1.6.png").write_bytes(b"damaged")
    result = run(tmp_path / "jaffe", "-o", tmp_path / "faces")
    assert isinstance(result.exception, ImageError)
    assert "KL.SA1.6.png" in str(result.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"jaffe"}


def test_only_a_folder_of_prepared_faces_is_replaced_and_only_with_force(tmp_path: Path) -> None:
    trees.build_folder(tmp_path / "source")
    arguments = (tmp_path / "source", "-o", tmp_path / "faces", "--size", 24)
    (tmp_path / "faces").mkdir()
    assert run(*arguments).exit_code == 0
    (tmp_path / "faces" / "mine").touch()
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert "exists; choose another folder, or give --force" in str(result.exception)
    assert (tmp_path / "faces" / "mine").exists()
    assert run(*arguments, "--force").exit_code == 0
    assert not (tmp_path / "faces" / "mine").exists()
    (tmp_path / "faces" / "prepared.json").unlink()
    result = run(*arguments, "--force")
    assert isinstance(result.exception, UsageError)
    assert "holds no faces that this command wrote" in str(result.exception)
    assert any((tmp_path / "faces").rglob("*.png"))


@pytest.mark.parametrize("name", ["../grin", "a\\b", "a\0b", "..", ".grin", "Val", "lost+found"])
def test_a_class_that_cannot_name_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    trees.build_webdataset(tmp_path / "shards", classes=("calm", name))
    result = run(tmp_path / "shards", "--faces", "as-is", "-o", tmp_path / "faces")
    assert isinstance(result.exception, DataError)
    assert f"and {name!a} cannot name one" in str(result.exception)
    assert "rename the class" in str(result.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"shards"}


def framings(**fields: Any) -> str:
    return json.dumps({"framings": [{"finder": "haar", "margin": 0.1} | fields], "subjects": {}})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "EOF while parsing"),
        ("[" * 100_000, "recursion limit"),
        ("[]", "Input should be an object"),
        ('{"framings": []}', "subjects: Field required"),
        ('{"framings": [], "subjects": {"calm/1.png": 5}}', "subjects.calm/1.png = 5: .* a valid string"),
        ('{"framings": [], "subjects": {}, "format": ["jaffe"]}', r"format = \['jaffe'\]: .* a valid string"),
        (framings(margin="wide"), "framings.0.margin = 'wide': .* a valid number"),
        (framings(margin=None), "framings.0.margin = None: .* a valid number"),
        (framings(finder=["haar"]), r"framings.0.finder = \['haar'\]: .* a valid string"),
        (framings(alignment="eyes"), "framings.0.alignment = 'eyes': .* 'none' or 'five-points'"),
        (framings(eyes=1), "framings.0.eyes = 1: Unexpected"),
    ],
)
def test_a_damaged_index_is_named_with_what_is_wrong(text: str, problem: str, tmp_path: Path) -> None:
    trees.build_prepared(tmp_path)
    (tmp_path / "prepared.json").write_text(text)
    with pytest.raises(DataError, match=rf"prepared\.json is damaged \(.*{problem}.* --format folder"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, "folder").image_kind == "mixed"
