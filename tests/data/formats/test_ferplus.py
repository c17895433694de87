"""FERPlus's votes: their columns by name, and the majority against a plain reading of the rule."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.data import load_dataset
from lnlattennet.data.formats._ferplus import UNKNOWN, majority
from tests.data import trees
from tests.data.checks import edit, message


def by_the_letter(votes: list[int]) -> int:
    """Zero single votes; the winner needs more than 50% of the rest, else unknown."""
    rest = []
    for vote in votes:
        rest.append(0 if vote == 1 else vote)
    for index, vote in enumerate(rest):
        if vote > 0.5 * sum(rest):
            return index
    return 8


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_any_votes(votes: list[int]) -> None:
    assert majority(tuple(votes)) == by_the_letter(votes)


@given(st.lists(st.integers(0, 9), min_size=10, max_size=10))
def test_ten_people(choices: list[int]) -> None:
    votes = [choices.count(choice) for choice in range(10)]
    assert majority(tuple(votes)) == by_the_letter(votes)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0),
        ((0, 0, 0, 0, 0, 0, 0, 6, 4, 0), 7),
        ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), UNKNOWN),
        ((5, 1, 1, 1, 1, 1, 0, 0, 0, 0), 0),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), UNKNOWN),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), UNKNOWN + 1),
        ((0, 0, 0, 0, 0, 0, 0, 0, 10, 0), UNKNOWN),
        ((0,) * 10, UNKNOWN),
        ((2, 0, 0, 0, 0, 0, 0, 0, 2, 0), UNKNOWN),
    ],
)
def test_votes_counted_by_hand(votes: tuple[int, ...], expected: int) -> None:
    assert majority(votes) == expected


def reorder(file: Path, order: list[int], change_name: Callable[[str], str] = str) -> None:
    """Write the columns of a csv file in another order, and its header's names changed."""
    rows = [[row[place] for place in order] for row in csv.reader(file.read_text().splitlines())]
    rows[0] = [change_name(name) for name in rows[0]]
    file.write_text("\n".join(map(",".join, rows)) + "\n")


@pytest.mark.parametrize("change_name", [str, str.upper, lambda name: f" {name.lower()} "])
@pytest.mark.parametrize("seed", range(4))
def test_columns_are_taken_by_their_names(
    seed: int, change_name: Callable[[str], str], tmp_path: Path
) -> None:
    trees.build_ferplus(tmp_path)
    faces = load_dataset(tmp_path).faces
    reorder(tmp_path / "fer2013new.csv", np.random.default_rng(seed).permutation(12).tolist(), change_name)
    assert load_dataset(tmp_path).faces == faces


def test_votes_without_a_header_are_in_the_published_order(tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    faces = load_dataset(tmp_path).faces
    edit(tmp_path / "fer2013new.csv", lambda lines: lines.pop(0))
    assert load_dataset(tmp_path).faces == faces


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("sadness,", "sorrow,", "missing: sadness; unknown: 'sorrow'"),
        ("sadness,anger,", "anger,Anger,", "missing: sadness; repeated: anger"),
        (",NF", "", "missing: NF"),
        ("Usage,Image name,", "Image name,", "missing: Usage"),
        (",NF", ",NF,", "unknown: ''"),
    ],
)
def test_a_header_with_other_names_is_refused(old: str, new: str, expected: str, tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    edit(tmp_path / "fer2013new.csv", lambda lines: lines.__setitem__(0, lines[0].replace(old, new)))
    text = message(tmp_path)
    assert "line 1 of" in text
    assert "must name each of these columns once, in any order: Usage, Image name, neutral," in text
    assert f"; {expected}; correct the names" in text


def test_a_broken_row_is_shown_as_it_stands_in_the_file(tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    reorder(tmp_path / "fer2013new.csv", [*range(11, -1, -1)])
    row = "0,0,0,0,0,0,0,0,0,x,fer0000000.png,Training"
    edit(tmp_path / "fer2013new.csv", lambda lines: lines.__setitem__(1, row))
    assert f"must have 10 votes, whole numbers from 0, got {row!r}" in message(tmp_path)


def test_a_header_in_a_folders_labels_is_refused(tmp_path: Path) -> None:
    trees.build_ferplus_folders(tmp_path)
    header = "Image name,happiness,neutral,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    edit(tmp_path / "FER2013Train" / "label.csv", lambda lines: lines.insert(0, header))
    text = message(tmp_path)
    assert "label.csv must have 10 votes, whole numbers from 0, got 'Image name,happiness" in text
    assert "rows without header: name, the ten votes" in text
