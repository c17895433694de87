"""Shares of a data set: every face once, nobody on both sides, every class learned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.data._protocols import (
    Folds,
    Partition,
    assign_folds,
    fingerprint,
    partitions,
    select_fold,
)
from lnlattennet.data._records import Face, FaceData
from lnlattennet.errors import DataError, UsageError
from lnlattennet.images._decode import DecodedImage, Detail


def no_image(face: Face, enough: Detail | None) -> DecodedImage:
    raise AssertionError(f"a partition needs no image, and read {face.name}")


def data_of(faces: list[tuple[int, str | None, str | None]], classes: int = 3) -> FaceData:
    """Make a data set of (label, split, subject)."""
    records = tuple(Face(str(index), *face) for index, face in enumerate(faces))
    return FaceData("folder", Path("faces"), tuple("abcdefgh"[:classes]), records, no_image)


def people(count: int, faces_each: int = 6, split: str | None = None) -> FaceData:
    return data_of([(i % 3, split, f"S{s:02}") for s in range(count) for i in range(faces_each)])


def subjects_in(data: FaceData, partition: Partition, *splits: str) -> set[str | None]:
    return {data.faces[index].subject for split in splits for index in partition.splits[split]}


def assert_shared_out(data: FaceData, partition: Partition) -> None:
    """Every face is in exactly one split."""
    together = np.concatenate(list(partition.splits.values()))
    assert sorted(together.tolist()) == list(range(len(data)))


@st.composite
def populations(draw: st.DrawFn) -> tuple[FaceData, int]:
    """Draw people with some faces each, some faces of nobody known, and a number of folds."""
    folds = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.integers(6, 12), min_size=folds + 1, max_size=14))
    faces: list[tuple[int, str | None, str | None]] = [
        (i % 3, draw(st.sampled_from(["train", "test", None])), f"S{s}")
        for s, size in enumerate(sizes)
        for i in range(size)
    ]
    faces += [(i % 3, None, None) for i in range(draw(st.sampled_from([0, 0, 30])))]
    return data_of(draw(st.permutations(faces))), folds


@given(population=populations(), seed=st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_nobody_is_both_in_training_and_judged(population: tuple[FaceData, int], seed: int) -> None:
    data, folds = population
    found = partitions(data, folds, seed)
    assert len(found) == folds
    for partition in found:
        assert_shared_out(data, partition)
        evaluated = subjects_in(data, partition, "test") - {None}
        assert not evaluated & subjects_in(data, partition, "train", "val")
    tested = np.concatenate([partition.splits["test"] for partition in found])
    assert sorted(tested.tolist()) == list(range(len(data)))


@given(population=populations(), seed=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_validation_shows_other_people_too_where_everyone_is_known(
    population: tuple[FaceData, int], seed: int
) -> None:
    data, folds = population
    if None in {face.subject for face in data.faces}:
        return
    for partition in partitions(data, folds, seed):
        if len(subjects_in(data, partition, "train", "val")) >= 2:
            assert not subjects_in(data, partition, "train") & subjects_in(data, partition, "val")


@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=200),
    folds=st.integers(2, 8),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_faces_of_nobody_known_are_spread_evenly_class_by_class(
    labels: list[int], folds: int, seed: int
) -> None:
    assigned = assign_folds(np.array(labels), [None] * len(labels), folds, seed)
    for label in set(labels):
        counts = np.bincount(assigned[np.array(labels) == label], minlength=folds)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(assigned, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_people_of_equal_size_are_spread_evenly() -> None:
    data = people(20)
    for partition in partitions(data, 10, 0):
        assert len(subjects_in(data, partition, "test")) == 2
        counts = Counter(data.labels()[partition.splits["test"]].tolist())
        assert counts == {0: 4, 1: 4, 2: 4}


def test_the_seed_decides() -> None:
    data = people(12)
    first, again, other = (partitions(data, 4, seed)[0].splits for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_the_seed_decides_who_chooses_the_epoch_also_where_one_has_most_faces() -> None:
    data = data_of([(i % 3, None, f"S{s:02}") for s in range(5) for i in range(12 if s == 0 else 6)])
    chosen = [subjects_in(data, partitions(data, "loso", seed)[4], "val") for seed in range(8)]
    assert len(set(map(frozenset, chosen))) > 1


def test_leave_one_subject_out_tests_each_subject_alone() -> None:
    data = people(5)
    found = partitions(data, "loso", 0)
    assert [subjects_in(data, partition, "test") for partition in found] == [{f"S0{i}"} for i in range(5)]
    assert [partition.name for partition in found][:2] == ["without subject S00", "without subject S01"]
    for partition in found:
        assert_shared_out(data, partition)
        assert len(subjects_in(data, partition, "val")) == 1
        assert not subjects_in(data, partition, "val") & subjects_in(data, partition, "train")


class TestOfficial:
    def test_whole_splits_are_taken_as_they_are(self) -> None:
        splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
        [found] = partitions(data_of([(i % 3, split, None) for i, split in enumerate(splits)]), None, 0)
        assert {name: indices.tolist() for name, indices in found.splits.items()} == {
            "train": [0, 1, 2, 3, 4, 5],
            "val": [6, 7, 8],
            "test": [9, 10, 11],
        }
        assert found.notes == ()

    def test_a_tenth_of_every_class_is_held_out_where_there_is_no_validation(self) -> None:
        faces = [(0, "train", None)] * 50 + [(1, "train", None)] * 20 + [(2, "train", None)]
        data = data_of([*faces, (0, "test", None)])
        [found] = partitions(data, None, 4)
        assert Counter(data.labels()[found.splits["val"]].tolist()) == {0: 5, 1: 2}
        assert_shared_out(data, found)
        assert found.notes == ("7 of the training faces were held out for validation, by class.",)
        [other] = partitions(data, None, 5)
        assert found.splits["val"].tolist() != other.splits["val"].tolist()

    def test_whole_people_are_held_out_where_they_are_known(self) -> None:
        data = people(20, split="train")
        [found] = partitions(data, None, 0)
        assert len(subjects_in(data, found, "val")) == 2
        assert not subjects_in(data, found, "val") & subjects_in(data, found, "train")

    def test_one_person_is_held_out_by_class_and_the_note_says_so(self) -> None:
        [found] = partitions(people(1, 30, split="train"), None, 0)
        assert len(found.splits["val"]) == 3
        assert "people who are also in training" in found.notes[0]

    def test_without_a_test_split_validation_judges_and_the_note_says_so(self) -> None:
        data = data_of([(i % 3, "train" if i < 9 else "val", None) for i in range(12)])
        [found] = partitions(data, None, 0)
        assert set(found.splits) == {"train", "val"}
        assert "There is no test split" in found.notes[0]


def test_a_pooled_official_split_is_said() -> None:
    [first, _] = partitions(people(6, split="train"), 2, 0)
    assert any("official split is set aside" in note for note in first.notes)
    assert first.name == "fold 0 of 2"


class TestErrors:
    @pytest.mark.parametrize(
        ("data", "folds", "message"),
        [
            (people(4), None, "has no official training split .found: no splits.; divide it with --folds"),
            (
                data_of([(i % 3, "train", None) for i in range(9)]),
                "loso",
                "9 of its 9 faces have none; use --folds 9",
            ),
            (
                data_of([(i % 2, "train", None) for i in range(40)]),
                None,
                "class 'c' of faces has no face in tr",
            ),
            (data_of([(i // 9, None, f"S{i // 3}") for i in range(27)]), "loso", None),
            (
                data_of([(i // 9, None, f"S{i // 9}") for i in range(27)]),
                "loso",
                "class 'a' .*without subject S0",
            ),
            (data_of([(0, "test", None)]), None, "has no official training split .found: test"),
            (data_of([(i % 3, None, None) for i in range(6)]), 2, "no face for val .fold 0 of 2.; add faces"),
        ],
    )
    def test_data_that_does_not_fit(self, data: FaceData, folds: Folds, message: str | None) -> None:
        if message is None:
            assert len(partitions(data, folds, 0)) == 9
            return
        with pytest.raises(DataError, match=message):
            partitions(data, folds, 0)

    @pytest.mark.parametrize("folds", ["loso", 2, 10])
    def test_one_person_is_no_two_folds(self, folds: Folds) -> None:
        """The way out is one: no number of folds would do."""
        with pytest.raises(DataError, match=r"divided into folds.* name 1 subjects.*; add faces of other"):
            partitions(people(1), folds, 0)
        with pytest.raises(DataError, match="; leave out --folds to use the official split, or add faces"):
            partitions(people(1, split="train"), folds, 0)
        with pytest.raises(DataError, match=r"no official training split .*; add faces of other subjects"):
            partitions(people(1), None, 0)

    @pytest.mark.parametrize("nobody_known", [6, 12, 60])
    def test_the_number_of_folds_that_is_advised_works(self, nobody_known: int) -> None:
        faces = [(i % 3, None, "S0") for i in range(30)] + [(i % 3, None, None) for i in range(nobody_known)]
        data = data_of([*faces])
        with pytest.raises(DataError, match="use --folds ") as caught:
            partitions(data, "loso", 0)
        advised = int(str(caught.value).rpartition(" ")[2])
        assert advised == min(10, nobody_known)
        assert len(partitions(data, advised, 0)) == advised

    @pytest.mark.parametrize(
        ("data", "largest"),
        [
            (data_of([(i % 3, None, None) for i in range(30)]), 30),
            (people(8), 8),
            (data_of([(i % 3, None, f"S{i % 5}" if i < 15 else None) for i in range(45)]), 30),
        ],
    )
    def test_number_of_folds(self, data: FaceData, largest: int) -> None:
        """None of the folds stays empty at the largest number."""
        assert len(partitions(data, largest, 0)) == largest
        for folds in (0, 1, largest + 1):
            with pytest.raises(UsageError, match=f"--folds must be from 2 to {largest}, got {folds}"):
                partitions(data, folds, 0)

    @pytest.mark.parametrize("fold", [-1, 4])
    def test_fold_out_of_range(self, fold: int) -> None:
        with pytest.raises(UsageError, match=f"--fold must be from 0 to 3 or all, got {fold}"):
            select_fold(partitions(people(8), 4, 0), fold)


class TestHoldout:
    """A test split for data that has no official one."""

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "a", "b", "c", "d", "e"])), min_size=12),
        st.sampled_from([0.1, 0.2, 0.5]),
        st.integers(0, 5),
    )
    @settings(max_examples=60, deadline=None)
    def test_every_face_is_in_one_split_and_every_subject_on_one_side(
        self, faces: list[tuple[int, str | None]], share: float, seed: int
    ) -> None:
        data = data_of([(face[0], None, face[1]) for face in faces])
        try:
            [partition] = partitions(data, None, seed, share)
        except DataError:
            return  # too few faces of a class, or of subjects
        assert_shared_out(data, partition)
        tested = subjects_in(data, partition, "test") - {None}
        assert not tested & subjects_in(data, partition, "train", "val")
        assert fingerprint(data, partition) == fingerprint(data, partitions(data, None, seed, share)[0])

    @pytest.mark.parametrize("share", [0.1, 0.2, 0.35, 0.5])
    def test_it_is_the_share_that_was_asked_for(self, share: float) -> None:
        unnamed = data_of([(i % 3, None, None) for i in range(300)])
        for data, tolerance, how in ((unnamed, 0.01, "by class"), (people(40), 0.06, "by subject")):
            [partition] = partitions(data, None, 1, share)
            assert len(partition.splits["test"]) / len(data) == pytest.approx(share, abs=tolerance)
            assert partition.name == f"holdout {share:g}"
            assert f"were held out for the test, {how}." in partition.notes[0]
        counts = Counter(unnamed.labels()[partitions(unnamed, None, 1, share)[0].splits["test"]].tolist())
        assert set(counts) == {0, 1, 2}

    def test_another_seed_holds_out_others(self) -> None:
        data = people(20)
        first, second = (partitions(data, None, seed, 0.2)[0].splits["test"].tolist() for seed in (0, 1))
        assert first != second

    def test_official_test_or_validation_faces_are_kept(self) -> None:
        for split in ("val", "test"):
            data = data_of([*((i % 3, "train", None) for i in range(30)), (0, split, None)])
            with pytest.raises(
                UsageError, match=f"without official split; faces has {split}: leave --holdout"
            ):
                partitions(data, None, 0, 0.2)
        trained = data_of([(i % 3, "train", None) for i in range(30)])
        assert set(partitions(trained, None, 0, 0.2)[0].splits) == {"train", "val", "test"}

    def test_one_person_cannot_be_divided(self) -> None:
        with pytest.raises(DataError, match="names one subject, who stays in one split; add faces of other"):
            partitions(people(1), None, 0, 0.2)


def test_too_many_folds_of_faces_without_subjects_are_refused_without_a_word_of_subjects() -> None:
    with pytest.raises(UsageError, match=r"--folds must be from 2 to 30, got 31: faces has 30 faces$"):
        partitions(data_of([(i % 3, None, None) for i in range(30)]), 31, 0)
    with pytest.raises(UsageError, match=r"got 9: each of the 8 subjects of faces stays in one fold$"):
        partitions(people(8), 9, 0)
