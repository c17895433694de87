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
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(stream, "PNG")
    try:
        with Client(url, model) as client:
            client.predict([stream.getvalue()])
    except LnlAttenNetError as error:
        raise ServingError(f"model {model} does not answer a test image: {error}") from error
