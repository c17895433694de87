"""`lnlattennet data render`: rendered faces on the disk, the very same that a training renders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lnlattennet._cli import main
from lnlattennet.data import load_dataset
from lnlattennet.data.synthetic import EXPRESSIONS, _splits
from lnlattennet.data.synthetic._splits import render_split
from tests.commands import call

COUNTS = {"train": 30, "val": 7, "test": 9}
NUMBERS = ["--train-images", "30", "--val-images", "7", "--test-images", "9", "--size", "16"]


def render(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = call(main, "lnlattennet", "data", "render", "faces", *NUMBERS, *arguments, folder=folder)
    return done.returncode, done.stdout, done.stderr


def test_the_faces_are_those_of_a_training_and_are_read_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_splits, "_CHUNK", 13)  # several of them
    code, out, errors = render(tmp_path, "--seed", "3", "--json")
    assert code == 0, errors
    assert json.loads(out)["images"] == COUNTS
    data = load_dataset(tmp_path / "faces")
    assert (data.format, data.image_kind, data.class_names) == ("prepared", "crops", EXPRESSIONS)
    for split, count in COUNTS.items():
        images, labels = render_split(split, count, 16, seed=3)
        faces = sorted(data.split(split).faces, key=lambda face: face.name.rpartition("/")[2])
        assert [face.label for face in faces] == labels.tolist()
        assert np.array_equal(np.stack([data.read(face) for face in faces]), images)


def test_only_a_folder_of_rendered_faces_is_overwritten_and_only_with_force(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "mine.txt").touch()
    code, _, errors = render(tmp_path, "--force")
    assert code == 2
    assert "faces exists and holds no faces that this command wrote" in errors
    (tmp_path / "faces" / "prepared.json").touch()
    code, _, errors = render(tmp_path)
    assert code == 2
    assert "faces exists; choose another folder, or give --force" in errors
    assert (tmp_path / "faces" / "mine.txt").exists()
    code, out, errors = render(tmp_path, "--force")
    assert (code, out) == (0, "wrote 46 faces to faces\n"), errors
    assert sorted(path.name for path in (tmp_path / "faces").iterdir()) == [
        "prepared.json", "test", "train", "val",
    ]  # fmt: skip
    inspected = call(main, "lnlattennet", "data", "inspect", "faces", "--json", folder=tmp_path)
    assert inspected.returncode == 0, inspected.stderr
    assert {
        split: sum(counts.values()) for split, counts in json.loads(inspected.stdout)["splits"].items()
    } == COUNTS
