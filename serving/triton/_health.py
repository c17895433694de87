"""Probe of a served model with one image, sent as a client sends it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from lnlattennet.errors import LnlAttenNetError, ServingError
from lnlattennet.serving.client._client import Client


def probe_model(url: str, model: str) -> None:
    """Ask ``model`` at ``url`` to predict one tiny image.

    Raises:
        ServingError: there is no answer, or not a valid one.
    """
    try:
        with Client(url, model) as client:
            client.predict([_tiny_png()])
    except LnlAttenNetError as error:
        raise ServingError(f"model {model} does not answer a test image: {error}") from error


def _tiny_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(stream, "PNG")
    return stream.getvalue()
