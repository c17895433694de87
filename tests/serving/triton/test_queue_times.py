"""Requests that follow each other at once: no batcher holds them (findings/triton-queue-policy-stall.sh)."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray

from lnlattennet.serving.triton._model_names import CROPS, ENSEMBLE, FACES, FUSED, STREAM
from lnlattennet.serving.triton._process import TritonProcess

REQUESTS = 200
MOST_MEAN_QUEUE_MS = 10
"""A held request waits for 500 ms: one in 50 is too many. Alone on the server, a request waits for 0.1 ms."""


def queue_seconds(server: TritonProcess) -> dict[str, float]:
    """Model -> time that its requests have waited, as Triton counts it."""
    with urllib.request.urlopen(f"{server.endpoints.http}/v2/models/stats") as answer:  # noqa: S310
        stats = json.load(answer)["model_stats"]
    return {entry["name"]: entry["inference_stats"]["queue"]["ns"] / 1e9 for entry in stats}


def tensors(model: str, image: bytes) -> list[triton.InferInput]:
    """What a model takes; an image of a stream has a time."""
    arrays: list[tuple[str, NDArray[Any], str]]
    if model == CROPS:
        arrays = [("crop", np.zeros((1, 48, 48, 3), np.uint8), "UINT8")]
    else:
        arrays = [("image", np.array([[image]], dtype=np.object_), "BYTES")]
    if model == STREAM:
        arrays.append(("time", np.zeros((1, 1)), "FP64"))
    made = [triton.InferInput(name, list(array.shape), datatype) for name, array, datatype in arrays]
    for tensor, (_, array, _) in zip(made, arrays, strict=True):
        tensor.set_data_from_numpy(array)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("model", [ENSEMBLE, FUSED, FACES, CROPS, STREAM])
def test_no_request_is_held(server: TritonProcess, images: list[bytes], model: str) -> None:
    inputs = tensors(model, images[0])
    before = queue_seconds(server)
    with triton.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
        for number in range(REQUESTS):
            sequence = {
                "sequence_id": 77,
                "sequence_start": number == 0,
                "sequence_end": number == REQUESTS - 1,
            }
            client.infer(model, inputs, **(sequence if model == STREAM else {}))
    after = queue_seconds(server)
    waited = {name: after[name] - before[name] for name in after if after[name] > before[name]}
    assert sum(waited.values()) / REQUESTS * 1e3 < MOST_MEAN_QUEUE_MS, waited
