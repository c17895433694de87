"""KServe's protocol, version 2, asked of the real server without a client library of Triton's.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from lnlattennet.serving.triton._process import TritonProcess

MODEL = "expression_tensor"
CROP = np.random.default_rng(0).integers(0, 256, (1, 20, 24, 3), np.uint8)
INPUT: dict[str, Any] = {"name": "crop", "shape": list(CROP.shape), "datatype": "UINT8"}
INFER = f"/v2/models/{MODEL}/infer"
SIZE_HEADER = "Inference-Header-Content-Length"


def ask(
    server: TritonProcess, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    address = server.endpoints.http.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def infer(server: TritonProcess, request: Mapping[str, Any], path: str = INFER) -> tuple[int, dict[str, Any]]:
    status, _, content = ask(server, path, json.dumps(request).encode())
    return status, json.loads(content)


@pytest.fixture(scope="module")
def stub(server: TritonProcess) -> Any:
    with grpc.insecure_channel(server.endpoints.grpc.removeprefix("grpc://")) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def version(server: TritonProcess) -> str:
    versions: list[str] = json.loads(ask(server, f"/v2/models/{MODEL}")[2])["versions"]
    assert len(versions) == 1
    return versions[0]


def test_health_over_http(server: TritonProcess, version: str) -> None:
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        f"/v2/models/{MODEL}/ready",
        f"/v2/models/{MODEL}/versions/{version}/ready",
    ):
        assert ask(server, path)[0] == 200, path
    assert ask(server, f"/v2/models/{MODEL}/versions/77/ready")[0] >= 400
    assert ask(server, "/v2/models/none/ready")[0] >= 400


def test_health_over_grpc(stub: Any, version: str) -> None:
    assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
    assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready
    for asked, ready in ((version, True), ("", True), ("77", False)):
        assert stub.ModelReady(service_pb2.ModelReadyRequest(name=MODEL, version=asked)).ready == ready


def test_metadata_is_the_same_over_both(server: TritonProcess, stub: Any, version: str) -> None:
    about = json.loads(ask(server, "/v2")[2])
    told = stub.ServerMetadata(service_pb2.ServerMetadataRequest())
    assert about == {"name": told.name, "version": told.version, "extensions": list(told.extensions)}
    model = json.loads(ask(server, f"/v2/models/{MODEL}/versions/{version}")[2])
    told = stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=MODEL))
    assert (model["name"], model["platform"], model["versions"]) == (MODEL, told.platform, [version])
    for listed, tensors in ((model["inputs"], told.inputs), (model["outputs"], told.outputs)):
        assert listed == [
            {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
            for tensor in tensors
        ]
    assert model["inputs"] == [{"name": "crop", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]


@pytest.fixture(scope="module")
def expected(server: TritonProcess) -> dict[str, Any]:
    """The answer to nested JSON data."""
    status, answer = infer(server, {"id": "first", "inputs": [INPUT | {"data": CROP.tolist()}]})
    assert status == 200, answer
    return answer


def test_an_answer_in_json(expected: dict[str, Any], version: str) -> None:
    assert (expected["id"], expected["model_name"], expected["model_version"]) == ("first", MODEL, version)
    outputs = {output["name"]: output for output in expected["outputs"]}
    assert outputs["probabilities"]["datatype"] == "FP32"
    assert outputs["label"]["datatype"] == "BYTES"
    for output in outputs.values():
        assert len(output["data"]) == np.prod(output["shape"])
    assert sum(outputs["probabilities"]["data"]) == pytest.approx(1, abs=1e-5)


def test_flat_data_and_chosen_outputs(server: TritonProcess, expected: dict[str, Any]) -> None:
    request = {"inputs": [INPUT | {"data": CROP.ravel().tolist()}], "outputs": [{"name": "logits"}]}
    status, answer = infer(server, request)
    assert status == 200
    assert "id" not in answer
    assert answer["outputs"] == [output for output in expected["outputs"] if output["name"] == "logits"]


def test_binary_tensors_over_http(server: TritonProcess, expected: dict[str, Any]) -> None:
    head = json.dumps(
        {
            "inputs": [INPUT | {"parameters": {"binary_data_size": CROP.nbytes}}],
            "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
        }
    ).encode()
    status, headers, content = ask(server, INFER, head + CROP.tobytes(), {SIZE_HEADER: str(len(head))})
    assert status == 200
    size = int(headers[SIZE_HEADER])
    (described,) = json.loads(content[:size])["outputs"]
    assert described["parameters"]["binary_data_size"] == len(content) - size
    wanted = next(output for output in expected["outputs"] if output["name"] == "logits")
    np.testing.assert_allclose(np.frombuffer(content[size:], np.float32), wanted["data"], rtol=1e-6)


def grpc_request(raw: bool = True, **changes: Any) -> Any:
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name=changes.get("name", "crop"),
        datatype=changes.get("datatype", "UINT8"),
        shape=changes.get("shape", CROP.shape),
    )
    if not raw:
        tensor.contents.uint_contents.extend(CROP.ravel().tolist())
    return service_pb2.ModelInferRequest(
        model_name=changes.get("model", MODEL),
        model_version=changes.get("version", ""),
        id="first",
        inputs=changes.get("inputs", [tensor]),
        outputs=[
            service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=changes.get("output", "logits"))
        ],
        raw_input_contents=[CROP.tobytes()] if raw and "inputs" not in changes else [],
    )


@pytest.mark.parametrize("raw", [True, False], ids=["raw contents", "typed contents"])
def test_tensors_over_grpc(stub: Any, expected: dict[str, Any], version: str, raw: bool) -> None:
    answer = stub.ModelInfer(grpc_request(raw))
    assert (answer.id, answer.model_name, answer.model_version) == ("first", MODEL, version)
    assert [output.name for output in answer.outputs] == ["logits"]
    wanted = next(output for output in expected["outputs"] if output["name"] == "logits")
    assert list(answer.outputs[0].shape) == wanted["shape"]
    np.testing.assert_allclose(
        np.frombuffer(answer.raw_output_contents[0], np.float32), wanted["data"], rtol=1e-6
    )


DATA = {"data": CROP.tolist()}
# 500: Triton 2.51 takes what its parser of the JSON refuses for an error of its own.
REFUSED_JSON: dict[str, tuple[str, dict[str, Any], int]] = {
    "unknown model": ("/v2/models/none/infer", {"inputs": [INPUT | DATA]}, 404),
    "unknown version": (f"/v2/models/{MODEL}/versions/77/infer", {"inputs": [INPUT | DATA]}, 404),
    "a shape that the data do not have": (INFER, {"inputs": [INPUT | DATA | {"shape": [1, 20, 20, 3]}]}, 500),
    "a shape that the model does not take": (INFER, {"inputs": [INPUT | DATA | {"shape": [1, 1440]}]}, 400),
    "another datatype": (INFER, {"inputs": [INPUT | DATA | {"datatype": "FP32"}]}, 400),
    "no such datatype": (INFER, {"inputs": [INPUT | DATA | {"datatype": "UINT9"}]}, 400),
    "another input": (INFER, {"inputs": [INPUT | DATA | {"name": "picture"}]}, 400),
    "an empty list of inputs": (INFER, {"inputs": []}, 400),
    "no list of inputs": (INFER, {}, 500),
    "an unknown output": (INFER, {"inputs": [INPUT | DATA], "outputs": [{"name": "mood"}]}, 400),
    "no data": (INFER, {"inputs": [INPUT]}, 400),
}


@pytest.mark.parametrize("case", REFUSED_JSON)
def test_an_error_over_http_is_json_with_one_text(server: TritonProcess, case: str) -> None:
    path, request, wanted = REFUSED_JSON[case]
    status, answer = infer(server, request, path)
    assert (status, list(answer)) == (wanted, ["error"]), answer
    assert answer["error"]


def test_an_empty_body_is_refused(server: TritonProcess) -> None:
    status, _, content = ask(server, INFER, b"")
    assert status in (400, 500)
    assert json.loads(content)["error"]


REFUSED_GRPC: dict[str, tuple[dict[str, Any], str]] = {
    "unknown model": ({"model": "none"}, "NOT_FOUND"),
    "unknown version": ({"version": "77"}, "NOT_FOUND"),
    "a shape that the data do not have": ({"shape": [1, 20, 20, 3]}, "INVALID_ARGUMENT"),
    "a shape that the model does not take": ({"shape": [1, 1440]}, "INVALID_ARGUMENT"),
    "another datatype": ({"datatype": "FP32"}, "INVALID_ARGUMENT"),
    "another input": ({"name": "picture"}, "INVALID_ARGUMENT"),
    "no inputs": ({"inputs": []}, "INVALID_ARGUMENT"),
    "an unknown output": ({"output": "mood"}, "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("case", REFUSED_GRPC)
def test_an_error_over_grpc_has_a_status(stub: Any, case: str) -> None:
    changes, wanted = REFUSED_GRPC[case]
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(grpc_request(**changes))
    assert (caught.value.code().name, bool(caught.value.details())) == (wanted, True)
