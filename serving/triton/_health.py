"""Probe of a served model with one image, sent as a client sends it, and comparison of its answers."""

from __future__ import annotations

import numpy as np

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import LnlAttenNetError, OverloadedError, ServingError
from lnlattennet.images._decode import decode_image
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import CROPS, ENSEMBLE, FACES, FUSED, STREAM

_TOLERANCE = 0.02
"""Largest difference of a probability: in half precision, the size of a request's batch tells."""


def probe_model(url: str, model: str, image: bytes, timeout: float = 10.0) -> Prediction:
    """Ask ``model`` at ``url`` about one image.

    Args:
        url: address of the server.
        model: name of a public model.
        image: an encoded image.
        timeout: seconds until an answer must be there.

    Raises:
        OverloadedError: it has too many requests to answer this one.
        ServingError: there is no answer, or not a valid one.
    """
    try:
        with Client(url, model if model in (ENSEMBLE, FUSED) else ENSEMBLE, timeout) as client:
            client.mark_as_probe()
            return _ask(client, model, image)
    except OverloadedError:
        raise
    except LnlAttenNetError as error:
        raise ServingError(f"model {model} does not answer a test image: {error}") from error


def _ask(client: Client, model: str, image: bytes) -> Prediction:
    if model == FACES:
        return client.predict(image, max_faces=1)[0]
    if model == CROPS:
        return client.predict_crops(decode_image(image)[None])[0]
    if model == STREAM:
        with client.stream() as stream:
            return stream.predict(image).raw
    return client.predict(image)


def same_answer(one: Prediction, other: Prediction) -> bool:
    """Return whether two predictions about one image have the same probabilities, but for rounding."""
    left, right = (np.array(list(prediction.probabilities.values())) for prediction in (one, other))
    return left.shape == right.shape and bool(np.abs(left - right).max() <= _TOLERANCE)


def rounded(prediction: Prediction) -> list[float]:
    """Return the probabilities of all classes, to three digits."""
    return [round(value, 3) for value in prediction.probabilities.values()]
