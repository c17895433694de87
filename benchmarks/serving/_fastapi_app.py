"""What a user would write instead of serving with Triton: FastAPI around the same bundle.

Each worker process decodes, finds the face and runs the engine in the framework's thread pool, one engine
thread each, since the workers are as many as the cores. It speaks as much of KServe's protocol as
``perf_analyzer`` needs, so that the same program sends the same bytes to it and to Triton.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from tritonclient.utils import serialize_byte_tensor

from lnlattennet.benchmarks.serving._targets import PEER_BUNDLE, PEER_PORT
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.serving import load

_MODEL = "expression"
_HEADER = "Inference-Header-Content-Length"


def create_app() -> FastAPI:
    """Load the bundle and return the application."""
    app, predictor = FastAPI(openapi_url=None), load(os.environ[PEER_BUNDLE], threads=1)
    tensors = [
        ("image", "input"),
        ("label", "output"),
        ("probabilities", "output"),
        ("region_weights", "output"),
    ]

    @app.get("/v2")
    def server() -> dict[str, Any]:
        return {"name": "fastapi", "version": "1", "extensions": ["binary_tensor_data"]}

    @app.get("/v2/models/{model}/versions/{version}")
    @app.get("/v2/models/{model}")
    def metadata(model: str) -> dict[str, Any]:
        types = {"probabilities": "FP32", "region_weights": "FP32"}
        described = [
            {"name": n, "datatype": types.get(n, "BYTES"), "shape": [-1, 1], "kind": k} for n, k in tensors
        ]
        return {
            "name": model,
            "versions": ["1"],
            "platform": "fastapi",
            "inputs": [tensor for tensor in described if tensor["kind"] == "input"],
            "outputs": [tensor for tensor in described if tensor["kind"] == "output"],
        }

    @app.get("/v2/models/{model}/config")
    def config(model: str) -> dict[str, Any]:
        return {"name": model, "max_batch_size": 32, "input": [{"name": "image", "dims": [1]}]}

    @app.get("/v2/models/{model}/ready")
    @app.get("/v2/health/ready")
    def ready() -> Response:
        return Response()

    @app.post("/v2/models/{model}/infer")
    async def infer(request: Request) -> Response:
        body = await request.body()
        header = int(request.headers[_HEADER])
        # One element: 4 bytes of length, then the image.
        prediction = await run_in_threadpool(predictor.predict, bytes(body[header + 4 :]))
        return _answer(prediction)

    return app


def _answer(prediction: Prediction) -> Response:
    outputs = {
        "label": ("BYTES", serialize_byte_tensor(np.array([prediction.label.encode()], object)).item()),
        "probabilities": ("FP32", np.array(list(prediction.probabilities.values()), np.float32).tobytes()),
        "region_weights": ("FP32", np.asarray(prediction.region_weights, np.float32).tobytes()),
    }
    header = json.dumps(
        {
            "model_name": _MODEL,
            "outputs": [
                {
                    "name": name,
                    "datatype": kind,
                    "shape": [1, 1 if kind == "BYTES" else len(data) // 4],
                    "parameters": {"binary_data_size": len(data)},
                }
                for name, (kind, data) in outputs.items()
            ],
        }
    ).encode()
    body = header + b"".join(data for _, data in outputs.values())
    return Response(body, media_type="application/octet-stream", headers={_HEADER: str(len(header))})


if __name__ == "__main__":
    uvicorn.run(
        f"{__spec__.name}:create_app",
        factory=True,
        port=int(os.environ[PEER_PORT]),
        workers=len(os.sched_getaffinity(0)),
        log_level="warning",
        access_log=False,
    )
