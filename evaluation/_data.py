"""Labeled faces that a model is evaluated on: a split of a data set, or rendered faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._prepare import prepared_faces
from lnlattennet.data._records import SPLITS, FaceData
from lnlattennet.data.preparation._framing import framing_notes
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._leakage import choose_faces, rendered_leakage_notes
from lnlattennet.evaluation.predictors._base import BATCH, Faces
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import SYNTHETIC

SYNTHETIC_IMAGES = 2_100
"""Size of the test split of a training on rendered faces."""


@dataclass(frozen=True)
class EvaluationData:
    """Labeled faces, read anew whenever ``chunks`` is called.

    Attributes:
        name: data set as the user named it.
        format: name of its layout.
        split: train, val, test, all, or held out (``_leakage.HELD_OUT``).
        class_names: expressions in the order of the labels.
        faces: one name per face, for tables and messages.
        labels: int64 [len(faces)].
        chunks: returns an iterator over prepared faces uint8 [n, S, S, 3] in that order, n of at most 64.
        notes: sentences about what was left out or chosen.
        preparation: how the faces were made, once ``chunks`` has given them; None for rendered ones.
    """

    name: str
    format: str
    split: str
    class_names: tuple[str, ...]
    faces: tuple[str, ...]
    labels: NDArray[np.int64]
    chunks: Callable[[], Iterator[Faces]]
    notes: tuple[str, ...] = ()
    preparation: PreparationReport | None = None

    def summary(self) -> dict[str, Any]:
        """Describe the data, with the number of faces per class, as plain JSON values."""
        counts = Counter(self.labels.tolist())
        per_class = {name: counts[label] for label, name in enumerate(self.class_names)}
        return {
            "name": self.name,
            "format": self.format,
            "split": self.split,
            "faces": len(self.faces),
            "faces_per_class": per_class,
            **({} if self.preparation is None else {"preparation": self.preparation.to_dict()}),
        }


def dataset_faces(
    data: FaceData,
    split: str | None,
    preprocessing: Preprocessing,
    provenance: Mapping[str, Any] | None = None,
) -> EvaluationData:
    """Return a part of a data set, prepared while it is read.

    Args:
        data: the whole data set.
        split: see ``choose_faces``.
        preprocessing: the model's.
        provenance: the model's; if it was trained on this data, it identifies the faces that were held out.

    Raises:
        UsageError, DataError: see ``choose_split``.
    """
    chosen, name, notes = choose_faces(data, split, provenance or {})

    preparation = PreparationReport()

    def chunks() -> Iterator[Faces]:
        preparation.clear()
        return (faces for faces, _ in prepared_faces(chosen, preprocessing, usable_cpus(), preparation))

    return EvaluationData(
        name=printable(data.root),
        format=data.format,
        split=name,
        # A file name is bytes, and those that are no UTF-8 could not be written to a report.
        class_names=tuple(printable(name) for name in data.class_names),
        faces=tuple(printable(face.name) for face in chosen.faces),
        labels=chosen.labels(),
        chunks=chunks,
        notes=(*data.notes, *notes, *framing_notes(data, preprocessing, training=False)),
        preparation=preparation,
    )


def rendered_faces(
    split: str | None,
    images: int,
    seed: int,
    preprocessing: Preprocessing,
    provenance: Mapping[str, Any] | None = None,
) -> EvaluationData:
    """Return rendered faces; `test`, the default, has light, hair, glasses and occluders of its own.

    Args:
        split: train, val or test.
        images: number of faces.
        seed: seed of the faces; another one gives other people.
        preprocessing: the model's.
        provenance: the model's; it identifies the faces that it was trained on.

    Raises:
        UsageError: rendered faces have no such split.
    """
    from lnlattennet.data.synthetic import EXPRESSIONS
    from lnlattennet.data.synthetic._splits import render_split

    name = split or "test"
    if name not in SPLITS:
        raise UsageError(f"--split of rendered faces must be one of {', '.join(SPLITS)}, got {name!r}")

    def chunks() -> Iterator[Faces]:
        faces, _ = render_split(name, images, preprocessing.size, seed=seed, workers=usable_cpus())
        return (faces[start : start + BATCH] for start in range(0, images, BATCH))

    return EvaluationData(
        name=SYNTHETIC,
        format=SYNTHETIC,
        split=name,
        class_names=EXPRESSIONS,
        faces=tuple(f"{name}-{seed}-{index:06d}" for index in range(images)),
        labels=np.arange(images) % len(EXPRESSIONS),
        chunks=chunks,
        notes=(
            "These are rendered faces: they say nothing of photographs.",
            *rendered_leakage_notes(provenance or {}, name, images, seed),
        ),
    )
