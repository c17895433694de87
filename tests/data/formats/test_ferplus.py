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
from lnlattennet.data.formats._ferplus import UNKNOWN, majority, probabilities
from lnlattennet.errors import UsageError
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


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_shares_of_any_votes(votes: list[int]) -> None:
    shares = probabilities(tuple(votes))
    rest = [0 if vote == 1 else vote for vote in votes]
    if sum(rest[:8]) <= sum(rest[8:]):
        assert shares is None
        return
    assert shares is not None
    assert shares == pytest.approx([vote / sum(rest[:8]) for vote in rest[:8]])
    if majority(tuple(votes)) < UNKNOWN:
        assert int(np.argmax(shares)) == majority(tuple(votes))


def test_probability_keeps_votes_for_training_only(tmp_path: Path) -> None:
    trees.build_ferplus_folders(tmp_path)
    row = "fer9.png,2,1,0,0,3,3,0,0,0,0"  # 9 people; 2, 3 and 3 count, and no class has a majority
    for folder in ("FER2013Train", "FER2013Test"):
        edit(tmp_path / folder / "label.csv", lambda lines: lines.append(row))
        (tmp_path / folder / "fer9.png").write_bytes((tmp_path / folder / "fer0000000.png").read_bytes())
    certain = load_dataset(tmp_path)
    data = load_dataset(tmp_path, targets="probability")
    for split in ("val", "test"):
        assert data.split(split).faces == certain.split(split).faces
    known = {face.name: face.label for face in certain.split("train").faces}
    faces = {face.name: face for face in data.split("train").faces}
    assert {name: faces[name].label for name in known} == known
    assert faces["FER2013Train/fer9.png"].target == (0.25, 0, 0, 0, 0.375, 0.375, 0, 0)
    assert "FER2013Test/fer9.png" not in {face.name for face in data.faces}
    targets = data.targets()
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert (targets.argmax(axis=1) == data.labels()).all()
    assert any("are not 10: 2 of the images" in note for note in data.notes)
    assert certain.targets().max(axis=1).min() == 1


@pytest.mark.parametrize("format", [None, "ferplus"])
def test_the_folder_above_is_found(format: str | None, tmp_path: Path) -> None:
    trees.build_ferplus_folders(tmp_path / "copy" / "data")
    (tmp_path / "copy" / "other").mkdir()
    (tmp_path / "copy" / "fer2013new.csv").write_text("votes whose images are in data")
    data = load_dataset(tmp_path / "copy", format)
    assert data.root == tmp_path / "copy" / "data"
    assert data.faces == load_dataset(tmp_path / "copy" / "data").faces


def test_of_two_trees_below_one_must_be_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        trees.build_ferplus_folders(tmp_path / name)
    assert "several folders in it hold a data set (a: ferplus, b: ferplus): give one" in message(tmp_path)
    (tmp_path / "fer2013new.csv").write_text("votes whose images are in one of them")
    assert "several folders in it hold a FERPlus data set (a, b); give one of them" in message(tmp_path)


def test_targets_of_votes_need_votes(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    with pytest.raises(UsageError, match=r"need the votes .* rafdb has not got \(with votes: ferplus\)"):
        load_dataset(tmp_path, targets="probability")
    with pytest.raises(UsageError, match="targets must be one of majority, probability, got 'votes'"):
        load_dataset(tmp_path, targets="votes")  # type: ignore[arg-type]


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


def test_a_header_in_a_folders_labels_names_the_columns(tmp_path: Path) -> None:
    """Some copies have one; the order of its names counts, not the published one."""
    trees.build_ferplus_folders(tmp_path)
    faces = load_dataset(tmp_path).faces
    file = tmp_path / "FER2013Train" / "label.csv"
    header = "Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    edit(file, lambda lines: lines.insert(0, header))
    assert load_dataset(tmp_path).faces == faces
    reorder(file, [0, 2, 1, *range(3, 11)])
    assert load_dataset(tmp_path).faces == faces
    edit(file, lambda lines: lines.__setitem__(0, lines[0].replace("NF", "none")))
    assert "missing: NF; unknown: 'none'; correct the names" in message(tmp_path)


def test_images_that_the_labels_lack_are_counted(tmp_path: Path) -> None:
    """A list that was cut off between two rows looks like a whole one."""
    trees.build_ferplus_folders(tmp_path)
    assert not any("label.csv has" in note for note in load_dataset(tmp_path).notes)
    edit(tmp_path / "FER2013Train" / "label.csv", lambda lines: lines.__delitem__(slice(9, None)))
    note = "left out 10 of FER2013Train's 19 images: label.csv has 9 rows"
    assert note in load_dataset(tmp_path).notes


@pytest.mark.parametrize("build", [trees.build_ferplus, trees.build_ferplus_folders])
def test_judged_images_without_a_majority_are_known(build: Callable[[Path], None], tmp_path: Path) -> None:
    """Training leaves out their copies, since FER2013 has labels for them."""
    build(tmp_path)
    data = load_dataset(tmp_path)
    assert {face.split for face in data.undecided} == {"val", "test"}
    assert not {face.name for face in data.undecided} & {face.name for face in data.faces}
    assert all(data.read(face).shape == (48, 48, 3) for face in data.undecided)


def test_the_notes_say_whose_votes_are_read(tmp_path: Path) -> None:
    """The two releases of the labels are not the same."""
    trees.build_ferplus(tmp_path / "csv")
    assert "the votes are those of fer2013new.csv" in load_dataset(tmp_path / "csv").notes
    trees.build_ferplus_folders(tmp_path / "tree")
    [note] = (note for note in load_dataset(tmp_path / "tree").notes if note.startswith("the votes are"))
    assert "those of the folders' label.csv; fer2013new.csv of a later release has other votes" in note


def test_a_number_after_the_votes_is_refused(tmp_path: Path) -> None:
    """The last ten fields would be the votes of the next classes."""
    trees.build_ferplus_folders(tmp_path)
    labels = next(tmp_path.rglob("label.csv"))
    labels.write_text("".join(f"{line},0\n" for line in labels.read_text().splitlines()))
    assert "must have a name and 10 votes" in message(tmp_path)
