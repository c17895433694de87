"""Prediction of image files one by one, where a file that fails does not stop the others."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet._command import printable
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ImageError, ServingError
from lnlattennet.images._decode import decode_image

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Result of one image file: a prediction, an error, or both if only its overlay failed."""

    name: str
    prediction: Prediction | None = None
    error: str = ""


def predict_file(predict: Callable[[bytes], Prediction], path: Path, overlay: Path | None) -> Result:
    """Predict one file and draw its overlay, if there is a path for it."""
    name = printable(path)
    try:
        data = path.read_bytes()
        prediction = predict(data)
    except OSError as error:
        return Result(name, error=f"cannot read the file: {error.strerror}")
    except (ImageError, ServingError) as error:
        return Result(name, error=str(error))
    # Thousands of results must not hold thousands of decoded images.
    result = Result(name, dataclasses.replace(prediction, image=None))
    try:
        if overlay is not None:
            overlay.parent.mkdir(parents=True, exist_ok=True)
            prediction.save_overlay(overlay, decode_image(data) if prediction.image is None else None)
            _log.info("wrote %s", printable(overlay))
    except OSError as error:
        return dataclasses.replace(result, error=f"cannot write its overlay: {error.strerror}")
    return result


def results_document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the JSON document of all results."""
    return {
        "predictions": [{"photo": r.name} | r.prediction.to_dict() for r in results if r.prediction],
        "errors": [{"photo": r.name, "error": r.error} for r in results if r.error],
    }
