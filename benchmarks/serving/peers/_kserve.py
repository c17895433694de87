"""As much of KServe's protocol over HTTP as perf_analyzer needs."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from fastapi import APIRouter, Response
from tritonclient.utils import serialize_byte_tensor

from lnlattennet.benchmarks.serving._peer_servers import PEER_BUNDLE, PEER_PORT
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.serving import LocalPredictor, load
from lnlattennet.serving.triton._model_names import ENSEMBLE

HEADER = "Inference-Header-Content-Length"
INFER = f"/v2/models/{ENSEMBLE}/infer"

_TENSORS = {
    "image": ("BYTES", "inputs"),
    "label": ("BYTES", "outputs"),
    "probabilities": ("FP32", "outputs"),
    "region_weights": ("FP32", "outputs"),
}


def predictor() -> LocalPredictor:
    """Load the bundle of the environment; its engine has one thread, since there are as many as cores."""
    return load(os.environ[PEER_BUNDLE], threads=1)


def port() -> int:
    """Return the port of the environment."""
    return int(os.environ[PEER_PORT])


def routes(platform: str) -> APIRouter:
    """Return the requests that tell what is served, everything but ``INFER``."""
    router = APIRouter()

    @router.get("/v2")
    def server() -> dict[str, Any]:
        return {"name": platform, "version": "1", "extensions": ["binary_tensor_data"]}

    @router.get("/v2/models/{model}/versions/{version}")
    @router.get("/v2/models/{model}")
    def metadata(model: str) -> dict[str, Any]:
        described: dict[str, list[dict[str, Any]]] = {"inputs": [], "outputs": []}
        for name, (datatype, side) in _TENSORS.items():
            described[side].append({"name": name, "datatype": datatype, "shape": [-1, 1]})
        return {"name": model, "versions": ["1"], "platform": platform, **described}

    @router.get("/v2/models/{model}/config")
    def config(model: str) -> dict[str, Any]:
        return {"name": model, "max_batch_size": 32, "input": [{"name": "image", "dims": [1]}]}

    @router.get("/v2/models/{model}/ready")
    @router.get("/v2/health/ready")
    def ready() -> Response:
        return Response()

    return router


def image_of(body: bytes, header_length: str) -> bytes:
    """Return the image of a request with binary data."""
    # One element: 4 bytes of length, then the image.
    return body[int(header_length) + 4 :]


def answer(prediction: Prediction) -> Response:
    """Return the response with a prediction as binary data."""
    values = {
        "label": serialize_byte_tensor(np.array([prediction.label.encode()], object)).item(),
        "probabilities": np.array(list(prediction.probabilities.values()), np.float32).tobytes(),
        "region_weights": np.asarray(prediction.region_weights, np.float32).tobytes(),
    }
    outputs = [
        {
            "name": name,
            "datatype": _TENSORS[name][0],
            "shape": [1, 1 if _TENSORS[name][0] == "BYTES" else len(data) // 4],
            "parameters": {"binary_data_size": len(data)},
        }
        for name, data in values.items()
    ]
    header = json.dumps({"model_name": ENSEMBLE, "outputs": outputs}).encode()
    body = header + b"".join(values.values())
    return Response(body, media_type="application/octet-stream", headers={HEADER: str(len(header))})
