"""Choice of the faces that a model is evaluated on, and notes on those that its training has used.

A model's provenance holds protocol, fold and seed, from which ``data._protocols`` computes the partition of
its training again, and a digest of the faces, by which the same faces are recognized.
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
from lnlattennet.model._class_names import composed
from lnlattennet.model._provenance import SYNTHETIC

HELD_OUT = "held out"
"""Name of the split when training held out faces that are no official split."""

Choice = tuple[FaceData, str, tuple[str, ...]]


@dataclass(frozen=True)
class TrainingPartition:
    """Partition of a data set that a model was trained with, as its provenance states it.

    Attributes:
        folds: number of folds, "loso", or None for the official split.
        fold: index of the fold, from 0; 0 for the official split.
        seed: seed of the partition.
        data: base name of the data set; None from a server, which keeps it private.
        format: layout of the data set.
        origin: layout of the data set that prepared faces were made of; "" for others, or if not stated.
        counts: split to class to number of faces.
        fingerprint: digest of the partition (``protocols.fingerprint``); "" if it is not stated.
        holdout: share of the faces that was held out where there is no official split; None for none.
    """

    folds: Folds
    fold: int
    seed: int
    data: str | None
    format: str
    origin: str
    counts: Mapping[str, Any]
    fingerprint: str
    holdout: float | None = None

    @property
    def name(self) -> str:
        """Text for messages."""
        if self.holdout is not None:
            return f"holdout {self.holdout:g}"
        if self.folds is None:
            return "its official split"
        return f"fold {self.fold} of {self.folds if self.folds != 'loso' else 'leave-one-subject-out'}"


def training_partition(provenance: Mapping[str, Any]) -> TrainingPartition | None:
    """Read the partition of a training; None without a data set, or if a fact of it is missing."""
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
    holdout = settings.get("holdout")
    return TrainingPartition(
        folds,
        fold,
        seed,
        data,
        layout,
        str(provenance.get("origin", "")),
        counts,
        str(provenance.get("fingerprint", "")),
        holdout if isinstance(holdout, float) else None,
    )


def choose_faces(data: FaceData, split: str | None, provenance: Mapping[str, Any]) -> Choice:
    """Return the faces to evaluate a model on, the name of their split, and notes for the reader.

    Args:
        data: the whole data set.
        split: train, val, test or all; None takes the faces that the model's own training on this data set
            held out, and without such a training test, else val, else all.
        provenance: provenance of the model.

    Raises:
        UsageError, DataError: see ``choose_split``.
    """
    trained = training_partition(provenance)
    partition = None if trained is None else _rebuild_partition(data, trained)
    if trained is None or partition is None or split is not None or _has_official_holdout(data, trained):
        chosen, name, notes = choose_split(data, split)
    else:
        chosen, name, notes = _held_out(data, partition)
    if partition is not None:
        notes += _leakage_notes(chosen, data, partition)
    elif trained is not None and _may_be_same(data, trained):
        notes += (_doubt(trained),)
    return chosen, name, notes


def rendered_leakage_notes(
    provenance: Mapping[str, Any], split: str, images: int, seed: int
) -> tuple[str, ...]:
    """Count how many of the first ``images`` rendered faces of a split the model's training has used."""
    settings = provenance.get("settings")
    if provenance.get("data") != SYNTHETIC or not isinstance(settings, dict) or settings.get("seed") != seed:
        return ()
    used = _nonzero(settings.get("images")).get(split, 0)
    return _leakage_note(split, min(used, images), images, f"seed {seed}")


def _has_official_holdout(data: FaceData, trained: TrainingPartition) -> bool:
    """Return True if the model was trained on an official split with test or validation faces."""
    return trained.folds is None and not {"test", "val"}.isdisjoint(data.counts())


def _may_be_same(data: FaceData, trained: TrainingPartition) -> bool:
    """Return True if the training may have used these faces, by their data set's name or format.

    Faces that were prepared from a data set have its format, too. Many data sets have the format of a folder
    per class: their numbers of faces must agree too, unless the name is private.
    """
    if printable(data.root.resolve().name) == trained.data:
        return True
    shared = {data.format, data.origin} & {trained.format, trained.origin} - {""}
    if not shared:
        return False
    if shared - {"folder", "prepared"} or trained.data is None:
        return True
    trained_faces: Counter[str] = Counter()
    for counts in map(_nonzero, trained.counts.values()):
        trained_faces.update(dict(zip(composed(tuple(counts)), counts.values(), strict=True)))
    names = composed(data.class_names)
    return trained_faces == Counter(names[face.label] for face in data.faces)


def _rebuild_partition(data: FaceData, trained: TrainingPartition) -> Partition | None:
    """Compute the partition of the training again; None if these are not the same faces."""
    if data.format != trained.format:
        return None
    try:
        partition = select_fold(partitions(data, trained.folds, trained.seed, trained.holdout), trained.fold)
    except (DataError, UsageError):
        # Faces or people of the training are missing here.
        return None
    return partition if fingerprint(data, partition) == trained.fingerprint else None


def _held_out(data: FaceData, partition: Partition) -> Choice:
    note = (
        f"These are the faces that training held out ({partition.name}): the model learned from the others "
        "of this data set. --split evaluates other faces."
    )
    indices = partition.splits.get("test", partition.splits["val"])
    return data.select(indices.tolist()), HELD_OUT, (note,)


def _leakage_notes(chosen: FaceData, data: FaceData, partition: Partition) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    for split in ("train", "val"):
        names = {data.faces[index].name for index in partition.splits[split]}
        used = sum(face.name in names for face in chosen.faces)
        notes += _leakage_note(split, used, len(chosen), partition.name)
    return notes


def _leakage_note(split: str, used: int, total: int, training: str) -> tuple[str, ...]:
    """Return a note if ``used`` of ``total`` faces are of this split of the model's own training."""
    if not used or split not in ("train", "val"):
        return ()
    share = f"{used} of these {total} faces ({training})"
    if split == "train":
        return (
            f"The model learned {share}, which flatters its figures: without --split only faces that it "
            "never learned are evaluated.",
        )
    return (
        f"The model's training chose its epoch and its temperature by {share}, which flatters its figures, "
        "above all ECE and NLL after the temperature.",
    )


def _doubt(trained: TrainingPartition) -> str:
    return (
        f"The model was trained on a part ({trained.name}) of a data set of the format "
        f"{trained.origin or trained.format}. "
        "These may be faces of it, but not all are there, or some have another name, label or split, so that "
        "the faces that it never saw cannot be identified: if they are, its figures are flattered."
    )


def _nonzero(counts: Any) -> dict[str, int]:
    if not isinstance(counts, dict):
        return {}
    return {name: count for name, count in counts.items() if type(count) is int and count > 0}
