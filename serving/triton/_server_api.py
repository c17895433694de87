"""Calls of a running server that only its own supervisor makes: counters, and unloading before a stop."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any

from lnlattennet.errors import ServingError, require
from lnlattennet.serving.triton._endpoints import Endpoints

KEY_HEADER = "lnlattennet-key"
"""Header that opens the server's restricted interfaces to the process that started it."""

_TIMEOUT_SECONDS = 2
_POLL_SECONDS = 0.05


def is_ready(endpoints: Endpoints, model: str) -> bool:
    """Return whether the server says that a model is ready."""
    return _call(endpoints, "GET", f"/v2/models/{model}/ready")[0] == http.client.OK


def answered_requests(endpoints: Endpoints, model: str) -> int:
    """Return how many requests a model has answered; -1 if the server does not tell."""
    status, document = _call(endpoints, "GET", f"/v2/models/{model}/stats")
    if status != http.client.OK:
        return -1
    return sum(int(entry["inference_stats"]["success"]["count"]) for entry in document["model_stats"])


def load_model(endpoints: Endpoints, model: str, key: str, seconds: float) -> None:
    """Load a model whose files are newer than what the server has.

    Over gRPC: for as long as Triton 2.51 loads what it was told to over HTTP, all open HTTP connections wait.

    Raises:
        ServingError: it cannot be loaded, or not in time.
        UnavailableError: tritonclient is not installed.
    """
    grpc = require("tritonclient.grpc", "triton")
    utils = require("tritonclient.utils", "triton")
    # A proxy would else be asked even for this machine.
    options = [("grpc.enable_http_proxy", 0)]
    address = endpoints.grpc.removeprefix("grpc://")
    with closing(grpc.InferenceServerClient(address, channel_args=options)) as client:
        headers = {f"triton-grpc-protocol-{KEY_HEADER}": key}
        try:
            client.load_model(model, headers=headers, client_timeout=seconds)
        except utils.InferenceServerException as error:
            raise ServingError(
                f"the server cannot load the model {model} again: {error.message()}"
            ) from error


def drain(endpoints: Endpoints, models: Collection[str], key: str, seconds: float) -> bool:
    """Close models to new requests, and wait until those in flight are answered.

    A stopping server refuses what the steps of an ensemble ask of each other, so the answers of an ensemble
    would be lost; an unloading model finishes them. The models that it asks must stay loaded.

    Returns:
        Whether all were answered in time.
    """
    deadline = time.monotonic() + seconds
    for model in models:
        _call(endpoints, "POST", f"/v2/repository/models/{model}/unload", {}, {KEY_HEADER: key})
    while time.monotonic() < deadline:
        status, index = _call(endpoints, "POST", "/v2/repository/index", {}, {KEY_HEADER: key})
        if status != http.client.OK:
            return False
        # It has an entry for every version, also for those unloaded long ago.
        states = {entry.get("state", "UNAVAILABLE") for entry in index if entry["name"] in models}
        if states <= {"UNAVAILABLE"}:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _call(
    endpoints: Endpoints,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Return the status, 0 if there is no answer, and the document of the answer."""
    host, port = endpoints.client_host, endpoints.http_port
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    with closing(connection):
        try:
            connection.request(method, path, None if body is None else json.dumps(body), dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
