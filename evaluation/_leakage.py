"""Which faces a model is judged on, and what it knows of them from its training.

A model's provenance names protocol, fold and seed, from which ``training.protocols`` shares the data set out
as its training did, and a digest of the faces, by which it is known whether these are the same ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnlattennet._command import printable
from lnlattennet.data._protocols import Folds, Partition, fingerprint, partitions, select_fold
from lnlattennet.data._records import FaceData
from lnlattennet.data._splits import choose_split
from lnlattennet.errors import DataError, UsageError
from lnlattennet.model._provenance import SYNTHETIC

HELD_OUT = "held out"
"""The split's name where faces are judged that training held out, and that are no official split."""

Choice = tuple[FaceData, str, tuple[str, ...]]


@dataclass(frozen=True)
class TrainedPart:
    """The part of a data set that a model was trained on, as its provenance tells it.

    Attributes:
        folds: number of folds, "loso", or None for the official split.
        fold: which of them, from 0; 0 for the official split.
        seed: of the share-out.
        data: base name of the data set; None from a server, which does not tell it.
        format: its layout.
        counts: split -> class -> faces.
        fingerprint: of its share-out (``protocols.fingerprint``); "" if it is not told.
    """

    folds: Folds
    fold: int
    seed: int
    data: str | None
    format: str
    counts: Mapping[str, Any]
    fingerprint: str

    @property
    def name(self) -> str:
        """For people."""
        if self.folds is None:
            return "its official split"
        return f"fold {self.fold} of {self.folds if self.folds != 'loso' else 'leave-one-subject-out'}"


def trained_part(provenance: Mapping[str, Any]) -> TrainedPart | None:
    """Return what a model was trained on; None without a data set, or without all that finds it again."""
    settings = provenance.get("settings")
    if not isinstance(settings, dict) or not {"folds", "fold", "seed"} <= settings.keys():
        return None
    folds, fold, seed = settings["folds"], settings["fold"], settings["seed"]
    if folds is None and fold is None:
        fold = 0
    data, layout, counts = (provenance.get(fact) for fact in ("data", "format", "counts"))
    numbers = [fold, seed] if folds in (None, "loso") else [folds, fold, seed]
    if not all(type(number) is int and number >= 0 for number in numbers):
        return None
    if not isinstance(data, str | None) or not isinstance(layout, str) or not isinstance(counts, dict):
        return None
    return TrainedPart(folds, fold, seed, data, layout, counts, str(provenance.get("fingerprint", "")))


def choose_faces(data: FaceData, split: str | None, provenance: Mapping[str, Any]) -> Choice:
    """Return the faces to judge a model with, their split's name, and what the reader must know of them.

    Args:
        data: the whole data set.
        split: train, val, test or all; None takes the faces that the model's own training on this data set
            held out, and without such a training test, else val, else all.
        provenance: of the model.

    Raises:
        UsageError, DataError: see ``choose_split``.
    """
    trained = trained_part(provenance)
    if trained is None:
        return choose_split(data, split)
    partition = _found_again(data, trained)
    if partition is None:
        choice = choose_split(data, split)
        return _with_notes(choice, [_doubt(trained)] if _may_be_same(data, trained) else [])
    chooses = split is not None or _names_unlearned(data, trained)
    choice = choose_split(data, split) if chooses else _held_out(data, partition)
    return _with_notes(choice, _known(choice[0], data, partition))


def known_rendered(provenance: Mapping[str, Any], split: str, images: int, seed: int) -> list[str]:
    """Return notes on how many of the ``images`` first rendered faces of a split the model knows."""
    settings = provenance.get("settings")
    if provenance.get("data") != SYNTHETIC or not isinstance(settings, dict) or settings.get("seed") != seed:
        return []
    known = _nonzero(settings.get("images")).get(split, 0)
    return _flattered(split, min(known, images), images, f"seed {seed}")


def _names_unlearned(data: FaceData, trained: TrainedPart) -> bool:
    """Whether the data set itself names faces that the model did not learn: an official split of its own."""
    return trained.folds is None and not {"test", "val"}.isdisjoint(data.counts())


def _may_be_same(data: FaceData, trained: TrainedPart) -> bool:
    """Whether the model may know these faces: by their data set's name or format.

    Folders of anybody's own have a format that says nothing: there the number of faces must be the same too,
    unless the name is not told.
    """
    if _base_name(data) == trained.data:
        return True
    telling = data.format != "folder" or trained.data is None
    return data.format == trained.format and (telling or _total(trained.counts) == _class_counts(data))


def _found_again(data: FaceData, trained: TrainedPart) -> Partition | None:
    """Return the model's share-out, or None where these are not the faces that it was made of."""
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
    indices = partition.splits.get("test", partition.splits["val"])
    return data.select(indices.tolist()), HELD_OUT, (note,)


def _known(chosen: FaceData, data: FaceData, partition: Partition) -> list[str]:
    notes: list[str] = []
    for split in ("train", "val"):
        names = {data.faces[index].name for index in partition.splits[split]}
        known = sum(face.name in names for face in chosen.faces)
        notes += _flattered(split, known, len(chosen), partition.name)
    return notes


def _flattered(split: str, known: int, total: int, training: str) -> list[str]:
    """Return a note if ``known`` of ``total`` faces are of this split of the model's own training."""
    if not known or split not in ("train", "val"):
        return []
    told = f"of these {total} faces ({training})"
    if split == "train":
        return [
            f"The model learned {known} {told}, which flatters its figures: without --split only faces that "
            "it never learned are judged."
        ]
    return [
        f"The model's training chose its epoch and its temperature by {known} {told}, which flatters its "
        "figures, above all ECE and NLL after the temperature."
    ]


def _doubt(trained: TrainedPart) -> str:
    return (
        f"The model was trained on a part ({trained.name}) of a data set of the format {trained.format}. "
        "These may be faces of it, but not all are there, or some have another name, label or split, so that "
        "the faces that it never saw cannot be told: if they are, its figures are flattered."
    )


def _with_notes(choice: Choice, more: list[str]) -> Choice:
    data, split, notes = choice
    return data, split, (*notes, *more)


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
