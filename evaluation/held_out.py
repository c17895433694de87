"""Which faces a model is judged on if it was trained on folds of the same data set: those it never saw.

Folds pool all faces, whatever their official split, so part of every official split was in the fold's
training. The model's provenance names folds, fold and seed, from which ``training.protocols`` makes the same
fold again, and a digest of its faces, by which it is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnlattennet.command import printable
from lnlattennet.errors import DataError, UsageError
from lnlattennet.training.datasets.records import FaceData
from lnlattennet.training.datasets.splits import choose_split
from lnlattennet.training.protocols import Folds, Partition, fingerprint, partitions, select_fold

HELD_OUT = "held out"
"""The split's name where a fold's own test faces are judged."""

Choice = tuple[FaceData, str, tuple[str, ...]]


@dataclass(frozen=True)
class TrainedFold:
    """The fold that a model was trained on, as its provenance tells it.

    Attributes:
        folds: number of folds, or "loso".
        fold: which of them, from 0.
        seed: of the share-out.
        data: base name of the data set.
        format: its layout.
        counts: split -> class -> faces.
        name: of the fold, for people.
        fingerprint: of its share-out (``protocols.fingerprint``); "" if it is not told.
    """

    folds: Folds
    fold: int
    seed: int
    data: str
    format: str
    counts: Mapping[str, Any]
    name: str
    fingerprint: str


def trained_fold(provenance: Mapping[str, Any]) -> TrainedFold | None:
    """Return the fold that a model was trained on; None without one, or without all that finds it again."""
    settings = provenance.get("settings")
    if not isinstance(settings, dict):
        return None
    folds, fold, seed = (settings.get(name) for name in ("folds", "fold", "seed"))
    data, layout, name = (provenance.get(fact) for fact in ("data", "format", "protocol"))
    counts = provenance.get("counts")
    numbers = [fold, seed] if folds == "loso" else [folds, fold, seed]
    if not all(type(number) is int and number >= 0 for number in numbers):
        return None
    if not all(isinstance(text, str) for text in (data, layout, name)) or not isinstance(counts, dict):
        return None
    digest = str(provenance.get("fingerprint", ""))
    return TrainedFold(folds, fold, seed, data, layout, counts, name, digest)  # type: ignore[arg-type]


def choose_faces(data: FaceData, split: str | None, provenance: Mapping[str, Any]) -> Choice:
    """Return the faces to judge a model with, their split's name, and what the reader must know of them.

    Args:
        data: the whole data set.
        split: train, val, test or all; None takes the faces that the model's own fold of this data set held
            out, and without such a fold test, else val, else all.
        provenance: of the model.

    Raises:
        UsageError, DataError: see ``choose_split``.
    """
    trained = trained_fold(provenance)
    if trained is None:
        return choose_split(data, split)
    partition = _found_again(data, trained)
    if partition is None:
        doubt = _doubt(trained) if _may_be_same(data, trained) else None
        return _with_note(choose_split(data, split), doubt)
    if split is None:
        return _held_out(data, partition)
    return _with_note(choose_split(data, split), _overlap(data, split, partition))


def _may_be_same(data: FaceData, trained: TrainedFold) -> bool:
    """Whether the model may know these faces: the name is the same, or the format and the number of faces."""
    if _base_name(data) == trained.data:
        return True
    return data.format == trained.format and _total(trained.counts) == _class_counts(data)


def _found_again(data: FaceData, trained: TrainedFold) -> Partition | None:
    """Return the model's fold, or None where these are not the faces that it was made of."""
    if data.format != trained.format:
        return None
    try:
        partition = select_fold(partitions(data, trained.folds, trained.seed), trained.fold)
    except (DataError, UsageError):
        # Faces or people are missing that were there.
        return None
    return partition if fingerprint(data, partition) == trained.fingerprint else None


def _held_out(data: FaceData, partition: Partition) -> Choice:
    note = (
        f"These are the faces that training held out ({partition.name}): the model learned from the others "
        "of this data set. --split judges other faces."
    )
    return data.select(partition.splits["test"].tolist()), HELD_OUT, (note,)


def _overlap(data: FaceData, split: str, partition: Partition) -> str | None:
    chosen, _, _ = choose_split(data, split)
    learned = {data.faces[index].name for name in ("train", "val") for index in partition.splits[name]}
    known = sum(face.name in learned for face in chosen.faces)
    if not known:
        return None
    return (
        f"The model's training used {known} of these {len(chosen)} faces ({partition.name}), which flatters "
        "its figures: without --split only the faces that it never saw are judged."
    )


def _doubt(trained: TrainedFold) -> str:
    return (
        f"The model was trained on a part ({trained.name}) of the data set {trained.data!r} (format "
        f"{trained.format}). These may be faces of it, but not all are there, or some have another name or "
        "label, so that the faces that it never saw cannot be told: if they are, its figures are flattered."
    )


def _with_note(choice: Choice, note: str | None) -> Choice:
    data, split, notes = choice
    return data, split, notes if note is None else (*notes, note)


def _base_name(data: FaceData) -> str:
    return printable(data.root.resolve().name)


def _class_counts(data: FaceData) -> dict[str, int]:
    return dict(Counter(data.class_names[face.label] for face in data.faces))


def _nonzero(counts: Any) -> dict[str, int]:
    if not isinstance(counts, dict):
        return {}
    return {name: count for name, count in counts.items() if type(count) is int and count > 0}


def _total(counts: Mapping[str, Any]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in counts.values():
        total.update(_nonzero(row))
    return dict(total)
