"""Results of images, and the JSON document of them that `predict` prints and the gateway answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lnlattennet.bundle._prediction import Prediction


@dataclass(frozen=True)
class Result:
    """Result of one image file: predictions, an error, or both if only its overlay failed."""

    name: str
    predictions: tuple[Prediction, ...] = ()
    error: str = ""


def results_document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the JSON document of all results: one entry a face, and one an error."""
    return {
        "predictions": [{"photo": r.name} | face.to_dict() for r in results for face in r.predictions],
        "errors": [{"photo": r.name, "error": r.error} for r in results if r.error],
    }
