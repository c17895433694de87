"""Probe of a served model with one image, sent as a client sends it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from lnlattennet.errors import LnlAttenNetError, OverloadedError, ServingError
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import ENSEMBLE, FACES


def probe_model(url: str, model: str) -> None:
    """Ask ``model`` at ``url`` to predict one tiny image.

    Raises:
        OverloadedError: it has too many requests to answer this one.
        ServingError: there is no answer, or not a valid one.
    """
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(stream, "PNG")
    images = [stream.getvalue()]
    try:
        with Client(url, ENSEMBLE if model == FACES else model) as client:
            client.predict(images, max_faces=1) if model == FACES else client.predict(images)
    except OverloadedError:
        raise
    except LnlAttenNetError as error:
        raise ServingError(f"model {model} does not answer a test image: {error}") from error
