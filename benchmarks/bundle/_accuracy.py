"""Answers of the candidates on rendered faces: accuracy, and agreement with the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lnlattennet.benchmarks.bundle._candidates import Faces, Logits
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.model._preprocessing import Preprocessing

_BATCH = 8
_UNKNOWN = -1


def labeled_faces(
    count: int, preprocessing: Preprocessing, class_names: Sequence[str], workers: int
) -> tuple[Faces, NDArray[np.int64]]:
    """Render faces of the held-out test split.

    Returns:
        The faces, normalized, and their labels: indices in ``class_names``, -1 for what is not in it.
    """
    images, expressions = render_split("test", count, preprocessing.size, workers=workers)
    known = [class_names.index(name) if name in class_names else _UNKNOWN for name in EXPRESSIONS]
    return preprocessing.normalize(images), np.array(known)[expressions]


def compare_answers(
    candidates: Mapping[str, Logits], reference: str, faces: Faces, labels: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Return every candidate's agreement with the candidate ``reference``, and its accuracy.

    Faces whose label is -1 have no part in the accuracy, which is left out if none has another.
    """
    batches = [faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH)]
    logits = {name: np.concatenate([run(batch) for batch in batches]) for name, run in candidates.items()}
    answers = {name: values.argmax(axis=1) for name, values in logits.items()}
    compared = {
        name: {
            "top1_agreement": float((answers[name] == answers[reference]).mean()),
            "max_abs_logit_difference": float(np.abs(logits[name] - logits[reference]).max()),
        }
        for name in candidates
    }
    known = labels != _UNKNOWN
    if known.any():
        accuracy = {name: float((answer == labels)[known].mean()) for name, answer in answers.items()}
        for name, row in compared.items():
            row |= {"accuracy": accuracy[name], "accuracy_drop": accuracy[reference] - accuracy[name]}
    return compared
