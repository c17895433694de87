"""Answers of the candidates on labeled faces: accuracy, and agreement with the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.benchmarks.bundle._candidates import Faces, Logits
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.model._preprocessing import Preprocessing

_BATCH = 8


@dataclass(frozen=True)
class Accuracy:
    """Answers of one candidate beside those of the reference.

    Attributes:
        accuracy: share of right answers.
        accuracy_drop: how much smaller that is than the reference's.
        top1_agreement: share of faces with the reference's answer.
        max_abs_logit_difference: largest distance of any logit from the reference's.
    """

    accuracy: float
    accuracy_drop: float
    top1_agreement: float
    max_abs_logit_difference: float


def labeled_faces(count: int, preprocessing: Preprocessing, workers: int) -> tuple[Faces, NDArray[np.int64]]:
    """Render the held-out faces of a training's test; return them normalized, and their labels."""
    images, labels = render_split("test", count, preprocessing.size, workers=workers)
    return preprocessing.normalize(images), labels


def compare_answers(
    candidates: Mapping[str, Logits], reference: str, faces: Faces, labels: NDArray[np.int64]
) -> dict[str, Accuracy]:
    """Run every candidate on the faces and compare it with the candidate ``reference``."""
    logits = {name: _run_in_batches(run, faces) for name, run in candidates.items()}
    expected = logits[reference]
    right = (expected.argmax(axis=1) == labels).mean()
    return {
        name: Accuracy(
            accuracy=float((values.argmax(axis=1) == labels).mean()),
            accuracy_drop=float(right - (values.argmax(axis=1) == labels).mean()),
            top1_agreement=float((values.argmax(axis=1) == expected.argmax(axis=1)).mean()),
            max_abs_logit_difference=float(np.abs(values - expected).max()),
        )
        for name, values in logits.items()
    }


def _run_in_batches(run: Logits, faces: Faces) -> NDArray[np.float32]:
    return np.concatenate([run(faces[start : start + _BATCH]) for start in range(0, len(faces), _BATCH)])
