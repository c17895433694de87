"""RAF-DB's list of labels: one label for every image."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.data import load_dataset
from tests.data import trees
from tests.data.checks import edit, message

LIST = Path("EmoLabel", "list_patition_label.txt")


@pytest.mark.parametrize("format", ["rafdb", "rafdb-original"])
def test_an_image_with_two_labels_is_refused_with_both_lines(format: str, tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    edit(tmp_path / LIST, lambda lines: lines.append("train_00001.jpg 5"))
    kind = "aligned/train_00001_aligned" if format == "rafdb" else "original/train_00001"
    text = message(tmp_path, format)
    assert f"must give Image/{kind}.jpg one label, gives 1 (surprise) in line 1" in text
    assert "and 5 (sadness) in line 29; remove the wrong line" in text
    assert "train: surprise 2, " in text


def test_a_line_that_repeats_another_is_left_out_with_a_note(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    faces = load_dataset(tmp_path).faces
    edit(tmp_path / LIST, lambda lines: lines.extend(["train_00001.jpg 1", "test_00003.jpg 3"]))
    data = load_dataset(tmp_path)
    assert data.faces == faces
    assert "left out 2 lines that list an image once more, with the same label" in data.notes
