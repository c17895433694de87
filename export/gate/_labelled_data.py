"""Labelled faces for the gate: of a data set, or rendered ones that no training saw."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._prepare import load_prepared
from lnlattennet.data._records import SPLITS, FaceData
from lnlattennet.data._registry import load_dataset
from lnlattennet.data._splits import choose_split
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UsageError
from lnlattennet.model._preprocessing import Preprocessing

SYNTHETIC = "synthetic"
_SEED = 0


@dataclass(frozen=True)
class StoredFaces:
    """Faces as pictures, normalised when they are taken.

    Attributes:
        pictures: uint8 [n, S, S, 3].
        recipe: the checkpoint's preprocessing.
    """

    pictures: NDArray[np.uint8]
    recipe: Preprocessing

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return normalised faces [len(indices), 3, S, S]."""
        return self.recipe.normalize(self.pictures[indices])


@dataclass(frozen=True)
class LabelledFaces:
    """What accuracy is measured on.

    Attributes:
        faces: n of them.
        labels: int64 [n], in the order of the checkpoint's classes.
        class_names: of the checkpoint, in that order.
        name: the data set and its split, for reports.
    """

    faces: StoredFaces
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str


def labelled_faces(
    data: str, split: str | None, recipe: Preprocessing, limit: int, class_names: Sequence[str]
) -> LabelledFaces:
    """Read a data set's faces, or render some; at most ``limit``, drawn evenly from all with a fixed seed.

    Args:
        data: a data set's path, or ``synthetic``.
        split: train, val, test or all (not for ``synthetic``); None takes test, else val, else all.
        recipe: the checkpoint's preprocessing.
        limit: the most faces to take, 1 or more; as many are rendered.
        class_names: of the checkpoint, in the order of its logits.

    Raises:
        UsageError: no such split, or the data's classes are not the checkpoint's; it names them.
        DataError, ImageError: the data cannot be read, or has no such split.
    """
    if data == SYNTHETIC:
        return _rendered(split, recipe, limit, class_names)
    chosen, name, order = _chosen(data, split, class_names)
    if len(chosen) > limit:
        # Data sets lie class by class and person by person: the first ones would be all alike.
        drawn = np.random.default_rng(_SEED).choice(len(chosen), limit, replace=False)
        chosen = chosen.select(sorted(drawn.tolist()))
    pictures, labels = load_prepared(chosen, recipe, _cores())
    faces = StoredFaces(pictures, recipe)
    return LabelledFaces(faces, order[labels], tuple(class_names), f"{printable(chosen.root)}, split {name}")


def check_labelled(data: str, split: str | None, class_names: Sequence[str]) -> None:
    """Raise what ``labelled_faces`` would raise before it reads or renders a picture."""
    if data == SYNTHETIC:
        _rendered_split(split, class_names)
    else:
        _chosen(data, split, class_names)


def _chosen(
    data: str, split: str | None, class_names: Sequence[str]
) -> tuple[FaceData, str, NDArray[np.int64]]:
    whole = load_dataset(Path(data))
    order = _order(class_names, whole.class_names, printable(whole.root))
    chosen, name, _ = choose_split(whole, split)
    return chosen, name, order


def _rendered_split(split: str | None, class_names: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    name = split or "test"
    if name not in SPLITS:
        raise UsageError(f"--split of rendered faces must be one of {', '.join(SPLITS)}, got {name!r}")
    return name, _order(class_names, EXPRESSIONS, "rendered faces")


def _rendered(
    split: str | None, recipe: Preprocessing, limit: int, class_names: Sequence[str]
) -> LabelledFaces:
    name, order = _rendered_split(split, class_names)
    pictures, labels = render_split(name, limit, recipe.size, seed=_SEED, workers=_cores())
    faces = StoredFaces(pictures, recipe)
    return LabelledFaces(faces, order[labels], tuple(class_names), f"rendered faces, split {name}")


def _order(model: Sequence[str], data: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return for every class of the data its number in the checkpoint; they are matched by name."""
    sides = (("the checkpoint", set(model) - set(data)), (where, set(data) - set(model)))
    differences = [f"only {side} has {', '.join(sorted(names))}" for side, names in sides if names]
    if differences:
        raise UsageError(
            f"--data: the classes differ: {' and '.join(differences)}; rename the data's classes to the "
            "checkpoint's"
        )
    return np.array([list(model).index(name) for name in data], np.int64)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
