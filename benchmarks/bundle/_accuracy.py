"""What the engines answer on labelled faces: agreement with the checkpoint, and accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.benchmarks.bundle._candidates import EAGER, Faces, Logits
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.model._preprocessing import Preprocessing

LABELLED_FACES = 2_100
_BATCH = 8


def labelled_faces(count: int, recipe: Preprocessing, workers: int) -> tuple[Faces, NDArray[np.int64]]:
    """Render the held-out faces that a finished checkpoint is judged with, normalised, and their labels."""
    images, labels = render_split("test", count, recipe.size, workers=workers)
    return recipe.normalize(images), labels


def accuracy_rows(
    rivals: dict[str, Logits], faces: Faces, labels: NDArray[np.int64]
) -> dict[str, dict[str, Any]]:
    """Return accuracy, loss of accuracy against torch, agreement with torch and largest logit difference."""
    logits = {name: _all(run, faces) for name, run in rivals.items()}
    reference = logits[EAGER]
    right = reference.argmax(axis=1) == labels
    rows = {}
    for name, values in logits.items():
        answers = values.argmax(axis=1)
        rows[name] = {
            "accuracy": float((answers == labels).mean()),
            "accuracy_drop": float(right.mean() - (answers == labels).mean()),
            "top1_agreement": float((answers == reference.argmax(axis=1)).mean()),
            "max_abs_logit_difference": float(np.abs(values - reference).max()),
        }
    return rows


def _all(run: Logits, faces: Faces) -> NDArray[np.float32]:
    return np.concatenate([run(faces[start : start + _BATCH]) for start in range(0, len(faces), _BATCH)])
