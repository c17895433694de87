"""Partitions of a data set: faces to learn from, to choose the epoch by, and to evaluate on.

A person never appears both in training and in the faces of the evaluation, where the data set names
its subjects: a network recognizes a person it was trained on, which would inflate its accuracy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._records import SPLITS, FaceData
from lnlattennet.errors import DataError, UsageError

Indices = NDArray[np.int64]
Folds = int | Literal["loso"] | None
"""Number of folds, leave-one-subject-out, or None for the official split."""

VALIDATION_SHARE = 10
"""One in this many training faces (or subjects) chooses the epoch where the data set names no such faces."""

_USUAL_FOLDS = 10
_PARTS = 20
"""Equal parts into which people are divided before some are held out; fewer where there are fewer people."""
_MORE_SUBJECTS = "add faces of other subjects, so that there are at least two"


@dataclass(frozen=True)
class Partition:
    """Partition of a data set for one run.

    Attributes:
        name: name in reports and in the provenance: "official", "fold 3 of 10", "without subject KA".
        splits: train, val and usually test -> indices into the data set, ascending.
        notes: sentences that a reader of its figures must know.
    """

    name: str
    splits: dict[str, Indices]
    notes: tuple[str, ...] = field(default=())


def partitions(data: FaceData, folds: Folds, seed: int, holdout: float | None = None) -> list[Partition]:
    """Return one partition for the official split or for ``holdout``, or one for each fold.

    Args:
        data: the data set.
        folds: number of folds, "loso", or None.
        seed: seed of what is drawn.
        holdout: without folds, the share of the faces to test on, for a data set without official split.

    Raises:
        UsageError: the data set cannot have so many folds, or has an official split to test on.
        DataError: the data set cannot be divided in this way, or a class would be missing in training.
    """
    if folds is None:
        found = [_official(data, seed) if holdout is None else _with_holdout(data, holdout, seed)]
    else:
        assigned, names = _assigned(data, folds, seed)
        found = [_fold(data, assigned, index, name, seed) for index, name in enumerate(names)]
    for partition in found:
        check_classes(data, partition)
    return found


def select_fold(found: Sequence[Partition], fold: int) -> Partition:
    """Return one fold, counted from 0; raises UsageError where there is none of that number."""
    if not 0 <= fold < len(found):
        raise UsageError(f"--fold must be from 0 to {len(found) - 1} or all, got {fold}")
    return found[fold]


def fingerprint(data: FaceData, partition: Partition) -> str:
    """Return a digest of which faces, by name and label, are in which split: for comparing runs."""
    listed = {
        split: [data.class_names, [(data.faces[index].name, data.faces[index].label) for index in indices]]
        for split, indices in partition.splits.items()
    }
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def assign_folds(labels: Indices, subjects: Sequence[str | None], folds: int, seed: int) -> NDArray[np.int64]:
    """Return every face's fold, 0 to folds-1, with all faces of a subject in one fold.

    Subjects go, largest first, where they leave the classes most evenly spread; faces whose subject is not
    known are dealt out class by class.
    """
    rng = np.random.default_rng(seed)
    assigned = np.zeros(len(labels), np.int64)
    classes = int(labels.max(initial=0)) + 1
    filled = np.zeros((folds, classes))
    for members in _groups(subjects, rng):
        assigned[members] = _emptiest(filled, np.bincount(labels[members], minlength=classes))
        filled[assigned[members[0]]] += np.bincount(labels[members], minlength=classes)
    unknown = np.array([index for index, subject in enumerate(subjects) if subject is None], np.int64)
    dealt = unknown[np.lexsort((rng.random(len(unknown)), labels[unknown]))]
    assigned[dealt] = np.arange(len(dealt)) % folds
    return assigned


def _groups(subjects: Sequence[str | None], rng: np.random.Generator) -> list[Indices]:
    """Return the faces of every known subject, most faces first, equal ones in random order."""
    members: dict[str, list[int]] = {}
    for index, subject in enumerate(subjects):
        if subject is not None:
            members.setdefault(subject, []).append(index)
    groups = [np.array(members[subject], np.int64) for subject in sorted(members)]
    order = sorted(rng.permutation(len(groups)).tolist(), key=lambda group: -len(groups[group]))
    return [groups[group] for group in order]


def _emptiest(filled: NDArray[np.float64], counts: NDArray[np.int64]) -> int:
    """Return the fold [folds, classes] that is best off with these counts [classes] more."""
    # How much there is of the classes that come; among equals the smallest fold, so that none stays empty.
    return int(np.lexsort((filled.sum(axis=1), filled @ counts))[0])


def _official(data: FaceData, seed: int) -> Partition:
    of_face = np.array([face.split or "" for face in data.faces])
    splits = {name: np.flatnonzero(of_face == name) for name in SPLITS}
    if not len(splits["train"]):
        found = sorted({face.split for face in data.faces if face.split is not None})
        folds = min(_USUAL_FOLDS, _most_folds(data))
        way_out = (
            f"divide it with --folds {folds}, or --folds loso where its subjects are known (add --fold 0 for "
            "one network, not all), or hold out a test split with --holdout 0.2"
        )
        raise DataError(
            f"{printable(data.root)} has no official training split (found: "
            f"{', '.join(found) or 'no splits'}); {way_out if folds >= 2 else _MORE_SUBJECTS}"
        )
    notes = []
    if not len(splits["val"]):
        splits["train"], splits["val"], note = _hold_out(data, splits["train"], seed)
        notes.append(note)
    if not len(splits["test"]):
        del splits["test"]
        notes.append("There is no test split: the figures are of the faces that also chose the epoch.")
    return Partition("official", splits, tuple(notes))


def _with_holdout(data: FaceData, share: float, seed: int) -> Partition:
    """Hold out ``share`` of the faces as test: whole subjects where they are known, else of every class."""
    others = [split for split in ("val", "test") if any(face.split == split for face in data.faces)]
    if others:
        raise UsageError(
            f"--holdout {share:g} is for a data set without official split; {printable(data.root)} has "
            f"{' and '.join(others)}: leave --holdout out"
        )
    held, how = _held_out_share(data, share, seed)
    train, val, note = _hold_out(data, np.flatnonzero(~held), seed)
    notes = (f"{held.sum()} of the {len(data)} faces were held out for the test, {how}.", note)
    splits = {"train": train, "val": val, "test": np.flatnonzero(held)}
    return Partition(f"holdout {share:g}", splits, notes)


def _held_out_share(data: FaceData, share: float, seed: int) -> tuple[NDArray[np.bool_], str]:
    """Mark about ``share`` of the faces, and tell by what they were chosen."""
    labels, subjects = data.labels(), [face.subject for face in data.faces]
    named = np.array([subject is not None for subject in subjects], bool)
    people = len(set(subjects) - {None})
    held = np.zeros(len(data), bool)
    held[~named] = _of_every_class(labels[~named], seed, lambda count: max(1, round(share * count)))
    if people == 0:
        return held, "by class"
    if people == 1 and named.all():
        raise DataError(f"{printable(data.root)} names one subject, who stays in one split; {_MORE_SUBJECTS}")
    parts = min(people, _PARTS)
    taken = np.random.default_rng(seed).permutation(parts)[: min(max(1, round(share * parts)), parts - 1)]
    of_people = assign_folds(labels[named], [subject for subject in subjects if subject], parts, seed)
    held[named] = np.isin(of_people, taken)
    return held, "by subject"


def _of_every_class(labels: Indices, seed: int, some: Callable[[int], int]) -> NDArray[np.bool_]:
    """Mark ``some`` of the faces of every class; the only face of a class stays in training."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held[members[: some(len(members)) if len(members) > 1 else 0]] = True
    return held


def _assigned(data: FaceData, folds: int | Literal["loso"], seed: int) -> tuple[Indices, list[str]]:
    """Return every face's fold, and the folds' names."""
    subjects = [face.subject for face in data.faces]
    known = sorted({subject for subject in subjects if subject is not None})
    largest = _most_folds(data)
    if largest < 2:
        split = any(face.split == "train" for face in data.faces)
        raise DataError(
            f"{printable(data.root)} cannot be divided into folds: its {len(data)} faces name {len(known)} "
            "subjects, and each subject stays in one fold; "
            f"{'leave out --folds to use the official split, or ' if split else ''}{_MORE_SUBJECTS}"
        )
    if folds == "loso":
        if None in subjects:
            raise DataError(
                f"--folds loso leaves one subject out at a time; {printable(data.root)} names {len(known)} "
                f"subjects, and {subjects.count(None)} of its {len(data)} faces have none; use --folds "
                f"{min(_USUAL_FOLDS, largest)}"
            )
        order = {subject: index for index, subject in enumerate(known)}
        return np.array([order[str(s)] for s in subjects]), [f"without subject {s}" for s in known]
    if not 2 <= folds <= largest:
        raise UsageError(
            f"--folds must be from 2 to {largest}, got {folds}: {_why_not_more(data.root, subjects)}"
        )
    names = [f"fold {index} of {folds}" for index in range(folds)]
    return assign_folds(data.labels(), subjects, folds, seed), names


def _why_not_more(root: Path, subjects: Sequence[str | None]) -> str:
    known, without = len(set(subjects) - {None}), subjects.count(None)
    if not known:
        return f"{printable(root)} has {without} faces"
    rule = f"each of the {known} subjects of {printable(root)} stays in one fold"
    return f"{rule}, and {without} of its faces have none" if without else rule


def _most_folds(data: FaceData) -> int:
    """Return the largest number of folds of which none stays empty; below 2 there are none."""
    subjects = [face.subject for face in data.faces]
    # Subjects go to empty folds first, and faces without one go round all folds.
    return max(len(set(subjects) - {None}), subjects.count(None))


def _fold(data: FaceData, assigned: Indices, index: int, name: str, seed: int) -> Partition:
    rest = np.flatnonzero(assigned != index)
    train, val, note = _hold_out(data, rest, seed)
    notes = [note]
    if any(face.split is not None for face in data.faces):
        notes.append("The official split is set aside: all faces are pooled before they are divided.")
    return Partition(
        name, {"train": train, "val": val, "test": np.flatnonzero(assigned == index)}, tuple(notes)
    )


def _hold_out(data: FaceData, indices: Indices, seed: int) -> tuple[Indices, Indices, str]:
    """Take about a tenth of the faces out for validation: whole subjects where that is possible."""
    subjects = [data.faces[index].subject for index in indices]
    known = len(set(subjects) - {None})
    labels = data.labels()[indices]
    if known >= 2 and None not in subjects:
        shares = min(VALIDATION_SHARE, known)
        # Not always the first: the largest subject is in that one, whatever the seed.
        held = assign_folds(labels, subjects, shares, seed) == np.random.default_rng(seed).integers(shares)
        how = "by subject"
    else:
        held = _of_every_class(labels, seed, lambda count: -(-count // VALIDATION_SHARE))
        how = "by class" if known == 0 else "by class, so they show people who are also in training"
    note = f"{held.sum()} of the training faces were held out for validation, {how}."
    return indices[~held], indices[held], note


def check_classes(data: FaceData, partition: Partition) -> None:
    """Check that training has every class and no split is empty; raise a DataError otherwise."""
    learned = set(data.labels()[partition.splits["train"]].tolist())
    for label, name in enumerate(data.class_names):
        if label not in learned:
            raise DataError(
                f"class '{printable(name)}' of {printable(data.root)} has no face in training "
                f"({partition.name}); add faces, remove the class, or use fewer folds"
            )
    for split, indices in partition.splits.items():
        if not len(indices):
            raise DataError(
                f"{printable(data.root)} leaves no face for {split} ({partition.name}); add faces, or use "
                "another number of folds"
            )
