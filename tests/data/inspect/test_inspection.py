"""`lnlattennet data inspect`: counts, sizes, people, copies and damage, as tables, JSON and an image."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner, Result

from lnlattennet.data import load_dataset
from lnlattennet.data._cli import app
from lnlattennet.data.inspect._inspection import inspect_data, shared_subjects
from lnlattennet.errors import DataError, UsageError
from tests.data import trees
from tests.data.preparation.photographs import face, write
from tests.data.trees import BUILDERS
from tests.fonts import only_fonts_in


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], catch_exceptions=True)


def document(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code in (0, 1), result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("name", BUILDERS)
def test_every_layout_can_be_inspected(name: str, tmp_path: Path) -> None:
    build, format = BUILDERS[name]
    build(tmp_path / "tree")
    found = document(tmp_path / "tree", "--format", format, "--output", tmp_path / "sheet.png")
    data = load_dataset(tmp_path / "tree", format)
    assert found["faces"] == len(data) == sum(sum(counts.values()) for counts in found["splits"].values())
    assert found["class_names"] == list(data.class_names)
    assert found["unreadable"] == {}
    subjects = found["subjects"] or {}
    assert set(subjects) == {face.subject for face in data.faces} - {None}
    assert len(subjects) in (0, trees.SUBJECTS)
    assert sum(subjects.values()) == sum(face.subject is not None for face in data.faces)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > len(data.class_names) * 96


def test_counts_and_sizes(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=("train", "test"))
    trees.write_image(tmp_path / "test" / "grin" / "wide.png", (100, 50))
    found = document(tmp_path)
    assert found["splits"] == {
        "train": {"calm": 2, "frown": 2, "grin": 2},
        "test": {"calm": 2, "frown": 2, "grin": 3},
    }
    assert found["sizes"] == {
        "width": {"min": 32, "median": 32.0, "max": 100},
        "height": {"min": 32, "median": 32.0, "max": 50},
    }
    assert found["subjects"] is None


def test_sizes_are_those_of_the_files_where_large_ones_are_read_at_a_reduced_size(tmp_path: Path) -> None:
    for number, name in enumerate(("calm", "grin")):
        trees.write_image(tmp_path / "folders" / name / "large.jpg", (3200, 2400 + number))
    images = {name: (tmp_path / "folders" / name / "large.jpg").read_bytes() for name in ("calm", "grin")}
    trees.write_shard(tmp_path / "shards/0.tar", {name: (images[name], name) for name in images}, ".jpg")
    for source in ("folders", "shards"):
        assert document(tmp_path / source, "--faces", "crop")["sizes"] == {
            "width": {"min": 3200, "median": 3200.0, "max": 3200},
            "height": {"min": 2400, "median": 2400.5, "max": 2401},
        }


def test_copies_are_found_by_their_pixels(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=("train", "test"))
    train, test = tmp_path / "train", tmp_path / "test"
    with Image.open(train / "calm" / "0.png") as image:
        image.save(test / "calm" / "again.bmp")
    shutil.copy(train / "grin" / "1.png", train / "frown" / "same.png")
    copies = document(tmp_path)["copies"]
    assert copies["across_splits"] == [["train/calm/0.png", "test/calm/again.bmp"]]
    assert copies["within_splits"] == [["train/frown/same.png", "train/grin/1.png"]]
    assert copies["with_other_labels"] == copies["within_splits"]


def test_the_same_bytes_in_another_shape_are_no_copy(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=())
    for name, size in (("a", (32, 64)), ("b", (64, 32))):
        Image.new("RGB", size, "red").save(tmp_path / "calm" / f"{name}.png")
    assert document(tmp_path)["copies"]["within_splits"] == []


def test_unreadable_images_are_named_and_the_others_are_counted(tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    (tmp_path / "val" / "calm" / "0.png").write_bytes(b"damaged")
    (tmp_path / "val" / "calm" / "1.png").write_bytes(b"")
    result = run(tmp_path, "--json", "-o", tmp_path / "sheet.png")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert list(found["unreadable"]) == ["val/calm/0.png", "val/calm/1.png"]
    assert found["sizes"]["width"]["max"] == 32
    assert run(tmp_path).exit_code == 1
    assert "val/calm/1.png" in run(tmp_path).stdout


@pytest.mark.parametrize("option", ["as-is", "crop"])
def test_equalized_images_are_counted_and_noted_if_more_than_half_are(option: str, tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", face(number))
    for equalized in range(4):
        found = document(tmp_path, "--faces", option)
        assert found["equalized"] == {"images": equalized, "share": equalized / 4}
        notes = [note for note in found["notes"] if "equalized" in note]
        assert bool(notes) == (equalized == 3)
        path = tmp_path / "ab"[equalized % 2] / f"{equalized}.png"
        with Image.open(path) as image:
            ImageOps.equalize(image.convert("L")).save(path)
    assert "3 of 4 images have an equalized histogram" in notes[0]
    assert "4 images, 100.0%" in run(tmp_path, "--faces", option).stdout


def test_people_in_several_splits_are_a_leak(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path)
    data = load_dataset(tmp_path)
    assert shared_subjects(data) == []
    faces = tuple(
        replace(face, split="train" if face.label < 4 or face.subject == "KA" else "test")
        for face in data.faces
    )
    assert shared_subjects(replace(data, faces=faces)) == ["KL", "YM"]


def test_the_tables_say_it_for_people(tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    shutil.copy(tmp_path / "train" / "calm" / "0.png", tmp_path / "test" / "calm" / "copy.png")
    result = run(tmp_path)
    assert result.exit_code == 0
    for part in (
        "calm",
        "train",
        "32 x 32",
        "2 images, groups: 1",
        "train/calm/0.png = test/calm/copy.png",
    ):
        assert part in result.stdout


def test_the_sheet_shows_each_class_in_its_row(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name, color in (("calm", (255, 0, 0)), ("grin", (0, 0, 255))):
        for number in range(12):
            (tree / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 32), color).save(tree / name / f"{number}.png")
    run(tree, "--faces", "as-is", "--output", tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as image:
        pixels = np.asarray(image)
    red, blue = (np.argwhere((pixels == color).all(axis=-1)) for color in ((255, 0, 0), (0, 0, 255)))
    assert len(red) == len(blue) == 10 * 96 * 96
    assert red[:, 0].max() < blue[:, 0].min()
    assert [*(tmp_path / "new").iterdir()] == [tmp_path / "new" / "sheet.png"]


@pytest.mark.parametrize("font", ["DejaVu Sans", "Pillow's"])
def test_the_sheet_tells_apart_names_in_any_script(
    font: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if font == "Pillow's":
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    names = sorted(["é", "ü", "ß", "Ω", "幸", "福", "🤖", "\u0e47", "\u0e48"])
    trees.build_folder(tmp_path / "tree", splits=(), classes=names)
    with only_fonts_in():
        assert run(tmp_path / "tree", "--output", tmp_path / "sheet.png").exit_code == 0
    with Image.open(tmp_path / "sheet.png") as image:
        ink = np.asarray(image.convert("L"))[56:, :90] < 255
    rows = [row[:50] for row in np.split(ink[: 102 * len(names) - 6], range(102, 102 * len(names), 102))]
    assert len({row.tobytes() for row in rows}) == len(names)
    drawn = [
        name for name, row in zip(names, rows, strict=True) if np.flatnonzero(row.any(axis=0)).max() < 42
    ]
    assert drawn == (["ß", "é", "ü", "Ω"] if font == "DejaVu Sans" else []), "one letter wide, no escape"


def test_a_line_end_in_a_name_ends_no_line(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=(), classes=["calm", "gr\nin"])
    (tmp_path / "calm" / "no\nimage\x1b[2J.png").write_bytes(b"damaged")
    (tmp_path / "calm" / "ig\nored.txt").touch()
    found = document(tmp_path)
    assert found["class_names"] == ["calm", "gr\nin"], "JSON has its own escapes"
    assert list(found["unreadable"]) == ["calm/no\nimage\x1b[2J.png"]
    report = " ".join(run(tmp_path).stdout.split())
    for part in (r"│ gr\nin", r"calm/no\nimage\x1b[2J.png is damaged", r"ig\nored.txt"):
        assert part in report


def test_threads_find_the_same(tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    assert document(tmp_path, "--workers", 1) == document(tmp_path, "--workers", 4)


def test_progress_counts_every_image(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    data = load_dataset(tmp_path, "ckplus-neutral")
    steps: list[int] = []
    inspect_data(data, 2, steps.append)
    assert sum(steps) == len(data) == 84
    assert len(steps) == 2


@pytest.mark.parametrize("output", ["sheet.jpg", ".", "/proc/sheet.png"])
def test_a_sheet_that_cannot_be_written_is_refused_first(output: str, tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    result = run(tmp_path, "--output", tmp_path / output)
    assert isinstance(result.exception, UsageError)
    assert "--output" in str(result.exception)


def test_a_wrong_tree_is_an_error(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path).exception, DataError)


def test_the_command_starts_without_torch() -> None:
    packages = "lnlattennet.data._cli, lnlattennet.data"
    code = f"import sys, {packages}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
