"""Answers of the candidates on labeled faces: accuracy, and agreement with the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lnlattennet.benchmarks.bundle._candidates import Faces, Logits
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.model._preprocessing import Preprocessing

_BATCH = 8


def labeled_faces(count: int, preprocessing: Preprocessing, workers: int) -> tuple[Faces, NDArray[np.int64]]:
    """Render faces of the held-out test split; return them normalized, with their labels."""
    images, labels = render_split("test", count, preprocessing.size, workers=workers)
    return preprocessing.normalize(images), labels


def compare_answers(
    candidates: Mapping[str, Logits], reference: str, faces: Faces, labels: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Return the accuracy of every candidate, and its agreement with the candidate ``reference``."""
    batches = [faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH)]
    logits = {name: np.concatenate([run(batch) for batch in batches]) for name, run in candidates.items()}
    answers = {name: values.argmax(axis=1) for name, values in logits.items()}
    accuracy = {name: float((answer == labels).mean()) for name, answer in answers.items()}
    return {
        name: {
            "accuracy": accuracy[name],
            "accuracy_drop": accuracy[reference] - accuracy[name],
            "top1_agreement": float((answers[name] == answers[reference]).mean()),
            "max_abs_logit_difference": float(np.abs(logits[name] - logits[reference]).max()),
        }
        for name in candidates
    }
