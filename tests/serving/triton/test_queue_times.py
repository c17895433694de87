"""Requests that follow each other at once: no batcher holds them (findings/triton-queue-policy-stall.sh)."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
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
def test_threads_of_a_server_do_not_push_one_another_aside_on_waking(
    server: TritonProcess, processes_of: Callable[[Path], list[int]]
) -> None:
    """A request is held where the batcher's thread runs before that of the instance that is becoming free."""
    assert policies(server.pid) == {os.SCHED_BATCH}
    models = [pid for pid in processes_of(server.log.parent) if pid != server.pid]
    assert len(models) > 2
    for pid in models:
        assert policies(pid) == {os.SCHED_OTHER}


def policies(pid: int) -> set[int]:
    """Scheduling policies of a process's threads."""
    return {os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


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
