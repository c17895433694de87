"""Predictor of a running server, through the model of its engine.

The public models search every image for a face and crop to it. The faces here are cropped already, so they
are normalized in this process, with the preprocessing that the server states, and go to the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lnlattennet.errors import ConfigError, ServingError
from lnlattennet.evaluation.predictors._base import Faces, Predictor, in_batches
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import ENGINE_MODEL, ENSEMBLE

_TIMEOUT = 60.0


@contextmanager
def server_predictor(url: str) -> Iterator[Predictor]:
    """Connect to ``grpc://host:port`` or ``http://host:port``.

    Raises:
        UsageError: the URL is of another form.
        ServingError: nothing answers there, or it does not serve a bundle of this toolkit.
        UnavailableError: tritonclient is not installed.
    """
    with Client(url, ENSEMBLE, _TIMEOUT) as client:
        served = client.description
        preprocessing, provenance = read_model_parameters(served.parameters)

        def run(faces: Faces) -> Arrays:
            return client.engine_outputs(preprocessing.normalize(faces))

        yield Predictor(
            class_names=tuple(served.class_names),
            preprocessing=preprocessing,
            grid=served.grid,
            description={
                "kind": "server",
                "name": url,
                "served_model": ENGINE_MODEL,
                "runtime": f"Triton backend {_backend(client, url)}",
            },
            temperature=provenance.get("temperature"),
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


def _backend(client: Client, url: str) -> str:
    """Return the name of Triton's backend that runs the engine, be it a step of a step."""
    try:
        config = client.model_config(ENGINE_MODEL)
        while steps := config.get("ensemble_scheduling", {}).get("step"):
            config = client.model_config(steps[0]["model_name"])
        return str(config["backend"])
    except KeyError as error:
        raise ServingError(
            f"the model {ENGINE_MODEL!r} at {url} does not state its backend, so it is not one that "
            "`lnlattennet serve BUNDLE` serves"
        ) from error
