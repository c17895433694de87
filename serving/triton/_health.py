"""Probe of a served model with one image, sent as a client sends it."""

from __future__ import annotations

import numpy as np

from lnlattennet.errors import LnlAttenNetError, OverloadedError, ServingError
from lnlattennet.images._blank import blank_png
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import CROPS, ENSEMBLE, FACES, FUSED, STREAM


def probe_model(url: str, model: str) -> None:
    """Ask ``model`` at ``url`` to predict one tiny image.

    Raises:
        OverloadedError: it has too many requests to answer this one.
        ServingError: there is no answer, or not a valid one.
    """
    try:
        with Client(url, model if model in (ENSEMBLE, FUSED) else ENSEMBLE) as client:
            _ask(client, model)
    except OverloadedError:
        raise
    except LnlAttenNetError as error:
        raise ServingError(f"model {model} does not answer a test image: {error}") from error


def _ask(client: Client, model: str) -> None:
    if model == FACES:
        client.predict(blank_png(), max_faces=1)
    elif model == CROPS:
        client.predict_crops(np.full((1, 32, 32, 3), 128, np.uint8))
    elif model == STREAM:
        with client.stream() as stream:
            stream.predict(blank_png())
    else:
        client.predict(blank_png())
