"""Common interface of checkpoints, engines of bundles and running servers for an evaluation.

All three get the same prepared faces, so only the model makes a difference between their figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays

Faces = NDArray[np.uint8]
"""Prepared faces, RGB [n, S, S, 3]."""

BATCH = 64
"""Maximum number of faces that are predicted at once; memory does not grow with the data."""


@dataclass(frozen=True)
class Predictor:
    """Model that is ready to predict, as long as ``open_predictor`` holds it open.

    Attributes:
        class_names: classes in the order of the logits.
        preprocessing: steps from an image to the faces that ``predict`` takes.
        grid: regions per side; K = grid * grid.
        description: kind, name, hashes and runtime, for the report.
        temperature: number that divides the logits for confidences, as the model states it, or None.
        predict: faces uint8 [n, S, S, 3], n of 1 or more, to the outputs "logits" float32 [n, classes] and
            "region_weights" float32 [n, K].
        notes: caveats about its figures.
        provenance: record of its training, as far as the model states it.
    """

    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    grid: int
    description: Mapping[str, str]
    temperature: float | None
    predict: Callable[[Faces], Arrays]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def in_batches(run: Callable[[Faces], Arrays], largest: int = BATCH) -> Callable[[Faces], Arrays]:
    """Return a function of any number of faces that calls ``run`` with at most ``largest`` at once."""

    def predict(faces: Faces) -> Arrays:
        parts = [run(faces[start : start + largest]) for start in range(0, len(faces), largest)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return predict


def trained_on(provenance: Mapping[str, Any]) -> str:
    """Return the layout of the data set that a model was trained on, or "synthetic", or "unknown"."""
    return str(provenance.get("format") or provenance.get("data") or "unknown")
