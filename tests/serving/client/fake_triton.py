"""A gRPC server that speaks Triton's protocol and answers, fails or waits as a test says."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

grpc = pytest.importorskip("grpc")
pytest.importorskip("tritonclient.grpc")
service: Any = importlib.import_module("tritonclient.grpc.service_pb2_grpc")
messages: Any = importlib.import_module("tritonclient.grpc.service_pb2")

UNAVAILABLE = ("UNAVAILABLE", "Server is stopping, scheduler for model has stopped accepting requests")
FULL = ("UNAVAILABLE", "in ensemble 'expression', Exceeds maximum queue size")
REFUSED = ("INVALID_ARGUMENT", "image 0 of the batch: an image must be a JPEG or PNG file, got GIF")

OUTPUTS: dict[str, Any] = {
    "region_weights": np.array([[1.0]], np.float32),
    "region_affinity": np.array([[[1.0]]], np.float32),
    "face_box": np.array([[0.0, 0.0, 32.0, 32.0]], np.float32),
    "face_score": np.array([[0.5]], np.float32),
    "face_landmarks": np.zeros((1, 5, 2), np.float32),
}
"""One face, one region. What has an axis of classes is beside it, and so are texts."""


class FakeTriton(service.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """One model.

    Attributes:
        url: its address.
        class_names: of its model; of the last one, all answers are most certain.
        failures: status and text of the next requests that fail.
        silent: whether a request waits until its client has gone.
        requests: every request for a prediction.
        metadata: headers of every call.
        abandoned: set when the client of a waiting request has gone.
    """

    url = ""

    def __init__(self) -> None:
        self.class_names: tuple[str, ...] = ("sad", "glad")
        self.failures: list[tuple[str, str]] = []
        self.silent = False
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.abandoned = threading.Event()

    def ModelConfig(self, _: object, context: Any) -> Any:  # noqa: N802
        self.metadata.append(dict(context.invocation_metadata()))
        reply = messages.ModelConfigResponse()
        reply.config.max_batch_size = 4
        reply.config.parameters["class_names"].string_value = json.dumps(self.class_names)
        reply.config.parameters["grid"].string_value = "1"
        return reply

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.silent:
            context.add_callback(self.abandoned.set)
            self.abandoned.wait(20)
        if self.failures:
            status, details = self.failures.pop(0)
            context.abort(grpc.StatusCode[status], details)
        reply = messages.ModelInferResponse(model_name=request.model_name)
        scores = np.arange(len(self.class_names), dtype=np.float32)[None]
        by_class = {"logits": scores, "smoothed_probabilities": scores / scores.sum()}
        for name, array in (OUTPUTS | by_class).items():
            reply.outputs.add(name=name, datatype="FP32", shape=array.shape)
            reply.raw_output_contents.append(array.tobytes())
        for name, text in {"status": "ok", "label": self.class_names[-1]}.items():
            reply.outputs.add(name=name, datatype="BYTES", shape=[1, 1])
            reply.raw_output_contents.append(len(text).to_bytes(4, "little") + text.encode())
        return reply


@contextmanager
def fake_triton() -> Iterator[FakeTriton]:
    """Run one."""
    fake = FakeTriton()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        service.add_GRPCInferenceServiceServicer_to_server(fake, server)
        fake.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield fake
        fake.abandoned.set()
        server.stop(None).wait()
