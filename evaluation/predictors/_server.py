"""Predictor of a running server, through its public model `expression`.

The server detects a face in every image and crops to it. The faces here are cropped already, so each is
sent in a form in which the detector finds nothing: in the middle of a gray strip 17 times as wide as high.
Scaled to the 320 pixels that the detector uses at most, the strip is lower than the 22 pixels of the smallest
face, so the server takes the center square: the face, pixel for pixel. Every response states its crop; any
other crop is an error.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ConfigError, ServingError
from lnlattennet.evaluation.predictors._base import Faces, Predictor, in_batches, stored_temperature
from lnlattennet.model._preprocessing import Box, Preprocessing
from lnlattennet.runtimes._base import Arrays
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._transport import connect
from lnlattennet.serving.triton._model_names import ENGINE_MODEL, ENSEMBLE

# Odd, so that the gray on both sides is a whole number of pixels.
_STRIP = 17
_GRAY = 128
_TIMEOUT = 60.0


@contextmanager
def server_predictor(url: str) -> Iterator[Predictor]:
    """Connect to ``grpc://host:port`` or ``http://host:port``.

    Raises:
        UsageError: the URL is of another form.
        ServingError: nothing answers there, or it does not serve a bundle of this toolkit.
        UnavailableError: tritonclient is not installed.
    """
    runtime = _backend(url)
    with Client(url, ENSEMBLE, _TIMEOUT) as client:
        served = client.description
        preprocessing, provenance = read_model_parameters(served.parameters)

        def run(faces: Faces) -> Arrays:
            predictions = client.predict([strip(face) for face in faces])
            _require_untouched(predictions, faces.shape[1])
            return {
                "logits": np.array([face.logits for face in predictions], np.float32),
                "region_weights": np.array(
                    [np.ravel(face.region_weights) for face in predictions], np.float32
                ),
            }

        yield Predictor(
            class_names=tuple(served.class_names),
            preprocessing=preprocessing,
            grid=served.grid,
            description={
                "kind": "server",
                "name": url,
                "served_model": ENSEMBLE,
                "runtime": f"Triton backend {runtime}",
            },
            temperature=stored_temperature(provenance),
            predict=in_batches(run, served.max_batch_size),
            provenance=provenance,
        )


def read_model_parameters(parameters: Mapping[str, str]) -> tuple[Preprocessing, dict[str, Any]]:
    """Read preprocessing and provenance from the parameters of a served model.

    Raises:
        ServingError: they are missing, or of another version.
    """
    try:
        preprocessing, provenance = (json.loads(parameters[name]) for name in ("preprocessing", "provenance"))
        if not isinstance(preprocessing, dict) or not isinstance(provenance, dict):
            raise TypeError("preprocessing and provenance must be JSON objects")
        return Preprocessing.from_dict(preprocessing), provenance
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ServingError(
            f"the server does not state its preprocessing and what it was trained on ({error}), so its "
            "figures would not be comparable; serve the bundle with this version of lnlattennet"
        ) from error


def strip(face: Faces) -> bytes:
    """Return a PNG file with ``face`` uint8 [S, S, 3] in the middle of a gray strip of 17 S x S pixels."""
    size = len(face)
    canvas = np.full((size, _STRIP * size, 3), _GRAY, np.uint8)
    left = _STRIP // 2 * size
    canvas[:, left : left + size] = face
    stream = io.BytesIO()
    Image.fromarray(canvas).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _require_untouched(predictions: Sequence[Prediction], size: int) -> None:
    left = _STRIP // 2 * size
    expected: Box = (left, 0, left + size, size)
    for prediction in predictions:
        if prediction.face_found or tuple(prediction.face_box) != expected:
            raise ServingError(
                f"the server cropped a prepared face again (to {prediction.face_box} instead of {expected}), "
                "so its figures would not be comparable; serve the bundle with this version of lnlattennet"
            )


def _backend(url: str) -> str:
    """Return the name of Triton's backend that runs the engine."""
    connection = connect(url, _TIMEOUT)
    try:
        return str(connection.model_config(ENGINE_MODEL)["backend"])
    except KeyError as error:
        raise ServingError(
            f"the model {ENGINE_MODEL!r} at {url} does not state its backend, so it is not one that "
            "`lnlattennet serve BUNDLE` serves"
        ) from error
    finally:
        connection.close()
