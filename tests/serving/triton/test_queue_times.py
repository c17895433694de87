"""Requests that follow each other at once: no batcher holds them (findings/triton-queue-policy-stall.sh)."""

from __future__ import annotations

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.grpc as triton

from lnlattennet.serving.triton._model_names import ENSEMBLE, FACES, FUSED
from lnlattennet.serving.triton._process import TritonProcess

REQUESTS = 200
MOST_MEAN_QUEUE_MS = 10
"""A held request waits for 500 ms: one in 50 is too many. Alone on the server, a request waits for 0.1 ms."""


def queue_seconds(server: TritonProcess) -> dict[str, float]:
    """Model -> time that its requests have waited, as Triton counts it."""
    with urllib.request.urlopen(f"{server.endpoints.http}/v2/models/stats") as answer:  # noqa: S310
        stats = json.load(answer)["model_stats"]
    return {entry["name"]: entry["inference_stats"]["queue"]["ns"] / 1e9 for entry in stats}


@pytest.mark.slow
@pytest.mark.parametrize("model", [ENSEMBLE, FUSED, FACES])
def test_no_request_is_held(server: TritonProcess, images: list[bytes], model: str) -> None:
    tensor = triton.InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[images[0]]], dtype=np.object_))
    before = queue_seconds(server)
    with triton.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
        for _ in range(REQUESTS):
            client.infer(model, [tensor])
    after = queue_seconds(server)
    waited = {name: after[name] - before[name] for name in after if after[name] > before[name]}
    assert sum(waited.values()) / REQUESTS * 1e3 < MOST_MEAN_QUEUE_MS, waited
