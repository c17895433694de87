"""Prediction of image files one by one, where a file that fails does not stop the others."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet._command import printable
from lnlattennet.bundle._prediction import Prediction, save_overlays
from lnlattennet.errors import ImageError, ServingError
from lnlattennet.images._decode import as_jpeg_or_png
from lnlattennet.images._whole_file import read_image_file, read_stream

STDIN = Path("-")
"""Path that stands for standard input, as in other programs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Result of one image file: predictions, an error, or both if only its overlay failed."""

    name: str
    predictions: tuple[Prediction, ...] = ()
    error: str = ""


def predict_file(
    predict: Callable[[bytes], Sequence[Prediction]], path: Path, overlay: Path | None
) -> Result:
    """Predict one file and draw its overlay, if there is a path for it."""
    name = printable(path)
    try:
        data = as_jpeg_or_png(read_stream(sys.stdin.buffer) if path == STDIN else read_image_file(path))
        predictions = predict(data)
    except IsADirectoryError:
        return Result(name, error=f"is a folder; name its files, as a shell does with {name}/*")
    except OSError as error:
        return Result(name, error=f"cannot read the file: {error.strerror}")
    except (ImageError, ServingError) as error:
        return Result(name, error=str(error))
    # Thousands of results must not hold thousands of decoded images.
    result = Result(name, tuple(dataclasses.replace(face, image=None) for face in predictions))
    try:
        if overlay is not None:
            overlay.parent.mkdir(parents=True, exist_ok=True)
            save_overlays(predictions, overlay, data if predictions[0].image is None else None)
            _log.info("wrote %s", printable(overlay))
    except OSError as error:
        return dataclasses.replace(result, error=f"cannot write its overlay: {error.strerror}")
    return result


def results_document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the JSON document of all results: one entry a face, and one an error."""
    return {
        "predictions": [{"photo": r.name} | face.to_dict() for r in results for face in r.predictions],
        "errors": [{"photo": r.name, "error": r.error} for r in results if r.error],
    }
