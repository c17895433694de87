"""A refusal says what was expected, and how many faces of each split and class were read before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data import trees
from tests.data.checks import edit, message
from tests.data.trees import BUILDERS


def replace_line(name: str, number: int, line: str) -> Callable[[Path], None]:
    return lambda tree: edit(tree / name, lambda lines: lines.__setitem__(number - 1, line))


def remove(name: str) -> Callable[[Path], None]:
    def break_it(tree: Path) -> None:
        shutil.rmtree(tree / name) if (tree / name).is_dir() else (tree / name).unlink()

    return break_it


def cut_in_half(tree: Path) -> None:
    file = tree / "fer2013.csv"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def drop_last_line(tree: Path) -> None:
    edit(tree / "fer2013new.csv", lambda lines: lines.pop())


RAFDB_LIST = "EmoLabel/list_patition_label.txt"
AFFECTNET_LISTS = "Manually_Annotated_file_lists"
BROKEN = {
    "CK+ lacks a subject": (
        "ckplus",
        remove("cohn-kanade-images/S010"),
        "no split: anger 6, contempt 6,",
    ),
    "CK+ lacks the labels": ("ckplus", remove("Emotion"), "read so far:\n  none"),
    "CK+ has a bad label": (
        "ckplus",
        replace_line("Emotion/S010/002/S010_002_00000005_emotion.txt", 1, "9"),
        "no split: anger 6, contempt 3,",
    ),
    "AffectNet lacks an annotation": (
        "affectnet-npy-8",
        remove("val_set/annotations/0_exp.npy"),
        "val: neutral 1, happiness 2,",
    ),
    "AffectNet lacks a list": (
        "affectnet-8",
        remove(f"{AFFECTNET_LISTS}/validation.csv"),
        "train: neutral 2, happiness 2,",
    ),
    "AffectNet has a bad row": (
        "affectnet-7",
        replace_line(f"{AFFECTNET_LISTS}/validation.csv", 2, "1/a.jpg,1,1,9,9,0,11,0,0"),
        "val: neutral 1, happiness 0,",
    ),
    "FERPlus lacks a file of labels": (
        "ferplus-folders",
        remove("FER2013Valid/label.csv"),
        "train: neutral 2, happiness 2,",
    ),
    "FERPlus has a bad row of labels": (
        "ferplus-folders",
        replace_line("FER2013Test/label.csv", 3, "fer0000002.png,1"),
        "test: neutral 1, happiness 1, surprise 0,",
    ),
    "FERPlus has too few votes": ("ferplus", drop_last_line, "test: neutral 2, happiness 2,"),
    "FERPlus has a bad row of votes": (
        "ferplus",
        replace_line("fer2013new.csv", 4, "Training,a.png,1"),
        "train: neutral 1, happiness 1, surprise 0,",
    ),
    "RAF-DB has a bad label": (
        "rafdb",
        replace_line(RAFDB_LIST, 3, "train_00003.jpg 8"),
        "train: surprise 1, fear 1, disgust 0,",
    ),
    "FER2013 is cut off": ("fer2013", cut_in_half, "train: anger 2, disgust 2,"),
    "FER2013 has a bad emotion": (
        "fer2013",
        lambda tree: edit(
            tree / "fer2013.csv", lambda lines: lines.__setitem__(3, lines[3].replace("2,", "7,", 1))
        ),
        "train: anger 1, disgust 1, fear 0,",
    ),
    "Oulu-CASIA lacks a sequence": (
        "oulu-casia",
        remove("OriginalImg/VL/Strong/P002/Fear"),
        "no split: anger 9, disgust 9, fear 6,",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_refusal_counts_what_was_read(case: str, tmp_path: Path) -> None:
    name, break_it, counts = BROKEN[case]
    build, format = BUILDERS[name]
    build(tmp_path)
    break_it(tmp_path)
    text = message(tmp_path, format)
    assert text.startswith(f"{tmp_path} is not a complete ")
    assert text.count("expected:\n") == text.count("found:\n") == 1
    assert counts in text.partition("found:\n")[2]


def test_faces_that_lack_their_annotation_are_not_counted(tmp_path: Path) -> None:
    trees.build_affectnet_npy(tmp_path)
    (tmp_path / "train_set" / "images" / "1.jpg").unlink()
    (tmp_path / "train_set" / "annotations" / "2_exp.npy").unlink()
    text = message(tmp_path)
    assert "2 images or _exp.npy files are without the other: train_set/images/2.jpg, " in text
    assert "train: neutral 2, happiness 1, sadness 1, surprise 2," in text
