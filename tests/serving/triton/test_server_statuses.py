"""Statuses of refused requests over both protocols, as docs/reference/serving.md lists them."""

from __future__ import annotations

import base64
import http.client
import importlib
import io
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("tritonclient.grpc")


def encoded() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def ask(
    *images: bytes, model: str = "expression", name: str = "image", version: str = "", **options: Any
) -> Callable[[Any, Any], Any]:
    """Return a request that a client of either library can send."""

    def send(triton: Any, client: Any) -> Any:
        tensor = triton.InferInput(name, [len(images), 1], "BYTES")
        tensor.set_data_from_numpy(np.array(images, np.object_)[:, None])
        return client.infer(model, [tensor], model_version=version, **options)

    return send


def tensor(model: str, name: str, array: NDArray[Any], datatype: str) -> Callable[[Any, Any], Any]:
    """Return a request with one tensor."""

    def send(triton: Any, client: Any) -> Any:
        whole = triton.InferInput(name, list(array.shape), datatype)
        whole.set_data_from_numpy(array)
        return client.infer(model, [whole])

    return send


def crop(array: NDArray[Any], datatype: str = "UINT8") -> Callable[[Any, Any], Any]:
    return tensor("expression_tensor", "crop", array, datatype)


BAD = {
    "crops of another type": (
        crop(np.zeros((1, 40, 40, 3), np.float32), "FP32"),
        "400",
        "INVALID_ARGUMENT",
        "data-type is 'FP32', but model 'expression_tensor' expects 'UINT8'",
    ),
    "crops with an alpha channel": (
        crop(np.zeros((1, 40, 40, 4), np.uint8)),
        "400",
        "INVALID_ARGUMENT",
        "unexpected shape for input 'crop'",
    ),
    "small crops": (crop(np.zeros((1, 40, 8, 3), np.uint8)), "400", "INVALID_ARGUMENT", "got 8 x 40"),
    "crops without pixels": (
        crop(np.zeros((1, 0, 40, 3), np.uint8)),
        "400",
        "INVALID_ARGUMENT",
        "at least 16 pixels",
    ),
    "faces that are not finite": (
        tensor("lnlattennet", "image", np.full((1, 3, 48, 48), np.nan, np.float32), "FP32"),
        "400",
        "INVALID_ARGUMENT",
        "face 0 holds numbers that are not finite",
    ),
    "an image that is none": (
        ask(b"text"),
        "400",
        "INVALID_ARGUMENT",
        "must be a JPEG or PNG file, got text",
    ),
    "one of two images": (ask(encoded(), b"GIF8"), "400", "INVALID_ARGUMENT", "image 1 of the batch"),
    "a large batch": (ask(*[encoded()] * 9), "400", "INVALID_ARGUMENT", "batch-size must be <= 8"),
    "the name of the input": (ask(encoded(), name="picture"), "400", "INVALID_ARGUMENT", "'picture'"),
    "two images for every face": (
        ask(encoded(), encoded(), model="expression_faces"),
        "400",
        "INVALID_ARGUMENT",
        "send one request per image",
    ),
    "no faces": (
        ask(encoded(), model="expression_faces", parameters={"max_faces": 0}),
        "400",
        "INVALID_ARGUMENT",
        "max_faces must be at least 1",
    ),
    "an unknown model": (ask(encoded(), model="emotion"), "404", "NOT_FOUND", "'emotion' is not found"),
    "an unknown version": (ask(encoded(), version="7"), "404", "NOT_FOUND", "version 7 is not found"),
    "shared memory": (
        lambda _, client: client.get_system_shared_memory_status(),
        "403",
        "UNAVAILABLE",
        "is restricted",
    ),
    "repository": (
        lambda _, client: client.get_model_repository_index(),
        "403",
        "UNAVAILABLE",
        "is restricted",
    ),
    "loading": (lambda _, client: client.load_model("expression"), "403", "UNAVAILABLE", "is restricted"),
    "logging": (lambda _, client: client.get_log_settings(), "403", "UNAVAILABLE", "is restricted"),
}


@pytest.mark.parametrize("library", ["http", "grpc"])
@pytest.mark.parametrize("case", BAD)
def test_a_refused_request_has_the_documented_status(server: TritonProcess, case: str, library: str) -> None:
    send, http_status, grpc_status, message = BAD[case]
    triton = importlib.import_module(f"tritonclient.{library}")
    with (
        triton.InferenceServerClient(getattr(server.endpoints, library).partition("//")[2]) as client,
        pytest.raises(triton.InferenceServerException) as caught,
    ):
        send(triton, client)
    assert message in caught.value.message()
    assert caught.value.status() == (http_status if library == "http" else f"StatusCode.{grpc_status}")


def ask_http(server: TritonProcess, method: str, path: str, body: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(server.endpoints.http.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/expression/ready"])
def test_probes_are_answered_by_get_alone(server: TritonProcess, path: str) -> None:
    assert ask_http(server, "GET", path)[0] == 200
    assert ask_http(server, "HEAD", path)[0] == 405


def test_a_body_that_is_no_json_is_an_error_of_the_server(server: TritonProcess) -> None:
    status, answer = ask_http(server, "POST", "/v2/models/expression/infer", "not JSON")
    assert status == 500
    assert "failed to parse the request JSON" in answer


def test_base64_in_json_is_told_what_to_send(server: TritonProcess) -> None:
    data = [base64.b64encode(encoded()).decode()]
    inputs = [{"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": data}]
    status, answer = ask_http(server, "POST", "/v2/models/expression/infer", json.dumps({"inputs": inputs}))
    assert status == 400
    assert "got a PNG file as base64 text; decode it and send the bytes" in answer
