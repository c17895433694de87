"""Which faces a model is judged on: a split of a data set, or held-out rendered faces."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._records import SPLITS, FaceData
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._leakage import choose_faces, known_rendered
from lnlattennet.evaluation.predictors._base import BATCH, Faces
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC

SYNTHETIC_IMAGES = 2_100
"""As many as training judges a finished checkpoint with."""


@dataclass(frozen=True)
class Source:
    """Labelled faces, read anew whenever ``chunks`` is called.

    Attributes:
        name: the data set as the user named it.
        format: name of its layout.
        split: train, val, test, all, or held out (see ``held_out``).
        class_names: expressions in the order of the labels.
        faces: one name per face, for tables and messages.
        labels: int64 [len(faces)].
        chunks: gives prepared faces uint8 [n, S, S, 3] in that order, n of at most 64.
        notes: what was left out or chosen, a sentence each.
    """

    name: str
    format: str
    split: str
    class_names: tuple[str, ...]
    faces: tuple[str, ...]
    labels: NDArray[np.int64]
    chunks: Callable[[], Iterator[Faces]]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what was evaluated, as plain JSON values."""
        counts = Counter(self.labels.tolist())
        return {
            "name": self.name,
            "format": self.format,
            "split": self.split,
            "faces": len(self.faces),
            "faces_per_class": {name: counts[label] for label, name in enumerate(self.class_names)},
        }


def data_source(
    data: FaceData, split: str | None, recipe: Preprocessing, provenance: Mapping[str, Any] | None = None
) -> Source:
    """Return a part of a data set, prepared by ``recipe`` while it is read.

    Args:
        data: the whole data set.
        split: see ``choose_faces``.
        recipe: the model's preprocessing.
        provenance: the model's; if it was trained on this data, it says which faces it never saw.

    Raises:
        UsageError, DataError: see ``choose_split``.
    """
    chosen, name, notes = choose_faces(data, split, provenance or {})

    def chunks() -> Iterator[Faces]:
        from lnlattennet.data._prepare import prepared_faces

        return (faces for faces, _ in prepared_faces(chosen, recipe, _cores()))

    return Source(
        name=printable(data.root),
        format=data.format,
        split=name,
        # A file name is bytes, and those that are no UTF-8 could not be written to a report.
        class_names=tuple(printable(name) for name in data.class_names),
        faces=tuple(printable(face.name) for face in chosen.faces),
        labels=chosen.labels(),
        chunks=chunks,
        notes=(*data.notes, *notes),
    )


def synthetic_source(
    split: str | None,
    images: int,
    seed: int,
    recipe: Preprocessing,
    provenance: Mapping[str, Any] | None = None,
) -> Source:
    """Return rendered faces; `test`, the default, has light, hair, glasses and occluders of its own.

    Args:
        split: train, val or test.
        images: how many.
        seed: each gives other people.
        recipe: the model's preprocessing.
        provenance: the model's; it says which of these faces it was trained on.

    Raises:
        UsageError: rendered faces have no such split.
    """
    from lnlattennet.data.synthetic import EXPRESSIONS
    from lnlattennet.data.synthetic._splits import render_split

    name = split or "test"
    if name not in SPLITS:
        raise UsageError(f"--split of rendered faces must be one of {', '.join(SPLITS)}, got {name!r}")

    def chunks() -> Iterator[Faces]:
        faces, _ = render_split(name, images, recipe.size, seed=seed, workers=_cores())
        return (faces[start : start + BATCH] for start in range(0, images, BATCH))

    return Source(
        name=SYNTHETIC,
        format=SYNTHETIC,
        split=name,
        class_names=EXPRESSIONS,
        faces=tuple(f"{name}-{seed}-{index:06d}" for index in range(images)),
        labels=np.arange(images) % len(EXPRESSIONS),
        chunks=chunks,
        notes=(
            "These are rendered faces: they say nothing of photographs.",
            *known_rendered(provenance or {}, name, images, seed),
        ),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0))
