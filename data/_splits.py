"""Choice of the split to evaluate a model on."""

from __future__ import annotations

from lnlattennet._command import printable
from lnlattennet.data._records import SPLITS, FaceData
from lnlattennet.errors import DataError, UsageError

ALL = "all"
"""Every face, whatever its split."""


def choose_split(data: FaceData, split: str | None) -> tuple[FaceData, str, tuple[str, ...]]:
    """Return the faces to evaluate a model on, the name of their split, and notes for the reader.

    Args:
        data: the whole data set.
        split: train, val, test or all; None takes test, else val, else all.

    Raises:
        UsageError: no such name.
        DataError: the data set has no such split, or no faces; names those that it has.
    """
    if split not in (None, ALL, *SPLITS):
        raise UsageError(f"--split must be one of {', '.join(SPLITS)} or {ALL}, got {split!r}")
    existing = [name for name in SPLITS if name in data.counts()]
    if not len(data):
        raise DataError(f"{printable(data.root)} holds no labeled face")
    if split is None:
        return _default_split(data, existing)
    if split == ALL:
        return data, ALL, ()
    if split not in existing:
        has = f"it has: {', '.join(existing)}" if existing else "it has no official splits"
        raise DataError(
            f"{printable(data.root)} has no split {split!r}; {has}; or take every face with --split {ALL}"
        )
    return data.split(split), split, ()


def _default_split(data: FaceData, existing: list[str]) -> tuple[FaceData, str, tuple[str, ...]]:
    if "test" in existing:
        return data.split("test"), "test", ()
    if "val" in existing:
        return data.split("val"), "val", ("There is no test split: these are the validation faces.",)
    note = "There is no test or validation split: these are all faces, so a model trained on them knows them."
    return data, ALL, (note,)
