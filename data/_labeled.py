"""Labeled faces in the order of a model's classes, from a data set or rendered for evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._prepare import PreparedFaces, load_prepared
from lnlattennet.data._records import SPLITS, FaceData, FacesOption
from lnlattennet.data._registry import load_dataset
from lnlattennet.data._splits import choose_split
from lnlattennet.data.preparation._framing import framing_notes
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UsageError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._class_names import composed
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC

_SEED = 0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFaces:
    """Images uint8 [n, S, S, 3], normalized on access."""

    images: NDArray[np.uint8]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return normalized faces [len(indices), 3, S, S]."""
        return self.preprocessing.normalize(self.images[indices])


@dataclass(frozen=True)
class LabeledFaces:
    """Faces to measure accuracy on.

    Attributes:
        faces: n faces.
        labels: int64 [n], in the order of the model's classes.
        name: the data set and its split, for reports.
    """

    faces: StoredFaces
    labels: NDArray[np.int64]
    name: str


@dataclass(frozen=True)
class LabeledSource:
    """Chosen split whose classes were checked and whose images are not read yet.

    Attributes:
        name: the data set and its split, for reports.
        order: for every class of the data its index in the model, int64 [classes].
        read: preprocessing -> images uint8 [n, S, S, 3] and labels int64 [n] in the data's order.
    """

    name: str
    order: NDArray[np.int64]
    read: Callable[[Preprocessing], tuple[NDArray[np.uint8], NDArray[np.int64]]]

    def load(self, preprocessing: Preprocessing) -> LabeledFaces:
        """Read the images, or render them; raise DataError or ImageError if one cannot be read."""
        images, labels = self.read(preprocessing)
        return LabeledFaces(StoredFaces(images, preprocessing), self.order[labels], self.name)


def open_labeled(
    data: str,
    split: str | None,
    limit: int,
    class_names: Sequence[str],
    faces: FacesOption = "auto",
) -> LabeledSource:
    """Choose a data set's faces, or rendered ones; at most ``limit``, drawn evenly with a fixed seed.

    Args:
        data: a data set's path, or ``synthetic``.
        split: train, val, test or all (not for ``synthetic``); None takes test, else val, else all.
        limit: the most faces to take, 1 or more; as many are rendered.
        class_names: classes of the model, in the order of its logits.
        faces: how faces are made from a data set's images (``load_dataset``).

    Raises:
        UsageError: no such split, or the data's classes are not the model's; it names them.
        DataError: the data cannot be read, or has no such split.
    """
    if data == SYNTHETIC:
        name = "test" if split is None else split
        if name not in SPLITS:
            raise UsageError(f"--split of rendered faces must be one of {', '.join(SPLITS)}, got {name!r}")
        return LabeledSource(
            f"rendered faces, split {name}",
            _order(class_names, EXPRESSIONS, "rendered faces"),
            lambda preprocessing: render_split(
                name, limit, preprocessing.size, seed=_SEED, workers=usable_cpus()
            ),
        )
    dataset = load_dataset(Path(data), faces=faces)
    root = printable(dataset.root)
    order = _order(class_names, dataset.class_names, root)
    chosen, name, _ = choose_split(dataset, split)
    if len(chosen) > limit:
        # Data sets lie class by class and person by person: the first ones would be all alike.
        drawn = np.random.default_rng(_SEED).choice(len(chosen), limit, replace=False)
        chosen = chosen.select(sorted(drawn.tolist()))
    return LabeledSource(
        f"{root}, split {name}",
        order,
        lambda preprocessing: _load(chosen, preprocessing),
    )


def _load(data: FaceData, preprocessing: Preprocessing) -> PreparedFaces:
    report = PreparationReport()
    prepared = load_prepared(data, preprocessing, usable_cpus(), report)
    for note in (*framing_notes(data, preprocessing, training=False), *report.notes()):
        _log.warning("%s: %s", printable(data.root), note)
    return prepared


def _order(model: Sequence[str], data: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return for every class of the data its index in the model; they are matched by name."""
    model, data = composed(model), composed(data)
    sides = (("the checkpoint", set(model) - set(data)), (where, set(data) - set(model)))
    differences = [f"only {side} has {', '.join(sorted(names))}" for side, names in sides if names]
    if differences:
        raise UsageError(
            f"--data: the classes differ: {' and '.join(differences)}; rename the data's classes to the "
            "checkpoint's"
        )
    return np.array([model.index(name) for name in data], np.int64)
