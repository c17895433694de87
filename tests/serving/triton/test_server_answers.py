"""Answers of the real server, compared with the same engine run in this process."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ImageError
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess
from tests.images.corpus import corpus

grpc = pytest.importorskip("tritonclient.grpc")


def connection(server: TritonProcess) -> Any:
    """A client without this package's manners."""
    return grpc.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://"))


@pytest.fixture(scope="module")
def expected(bundle_path: Path, images: list[bytes]) -> list[Prediction]:
    return LocalPredictor(Bundle.load(bundle_path)).predict(images)


def assert_same(answers: Sequence[Prediction], expected: Sequence[Prediction]) -> None:
    assert len(answers) == len(expected)
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer.label == wanted.label
        assert answer.probabilities == pytest.approx(wanted.probabilities, abs=1e-4)
        assert answer.face_found == wanted.face_found
        for name in ("logits", "region_weights", "region_affinity", "face_box"):
            np.testing.assert_allclose(getattr(answer, name), getattr(wanted, name), atol=1e-4, err_msg=name)


def test_the_images_have_different_answers(expected: list[Prediction]) -> None:
    logits = np.stack([prediction.logits for prediction in expected])
    differences = np.abs(logits[:, None] - logits[None]).max(axis=-1)
    assert differences[~np.eye(len(logits), dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_every_kind_of_file_is_read_as_in_this_process(
    server: TritonProcess, bundle_path: Path, protocol: str
) -> None:
    """Orientation, transparency, bit depth, missing end markers: every tenth file of the readers' corpus."""
    files = [sample.data for sample in corpus() if sample.data[:2] in (b"\xff\xd8", b"\x89P")][::10]
    local = LocalPredictor(Bundle.load(bundle_path)).predict(files)
    with Client(getattr(server.endpoints, protocol), "expression_fused") as client:
        assert_same(client.predict(files), local)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_batch_gets_the_local_answers_in_order(
    server: TritonProcess, images: list[bytes], expected: list[Prediction], protocol: str, model: str
) -> None:
    with Client(getattr(server.endpoints, protocol), model) as client:
        assert_same(client.predict(images), expected)
        assert_same(client.predict(images[1:2]), expected[1:2])


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_concurrent_clients_get_their_own_answers(
    server: TritonProcess, images: list[bytes], expected: list[Prediction], model: str
) -> None:
    def ask(index: int) -> None:
        start = index % len(images)
        with Client(server.endpoints.grpc, model) as client:
            for _ in range(4):
                assert_same(client.predict(images[start:]), expected[start:])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_damaged_image_fails_only_its_own_request(
    server: TritonProcess, images: list[bytes], expected: list[Prediction], model: str
) -> None:
    def ask(index: int) -> None:
        with Client(server.endpoints.grpc, model) as client:
            for _ in range(5):
                if index % 2:
                    assert_same(client.predict(images), expected)
                else:
                    with pytest.raises(ImageError, match="image 1 of the batch"):
                        client.predict([images[0], b"not an image"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(6)))


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_damaged_image_is_the_clients_error(server: TritonProcess, protocol: str, model: str) -> None:
    with (
        Client(getattr(server.endpoints, protocol), model) as client,
        pytest.raises(ImageError, match="image 0 of the batch: ") as caught,
    ):
        client.predict([b"not an image"])
    assert ".py" not in str(caught.value)


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_client_can_ask_for_class_names_grid_and_preprocessing(
    server: TritonProcess, bundle_path: Path, model: str
) -> None:
    with connection(server) as client:
        parameters = client.get_model_config(model).config.parameters
    manifest = Bundle.load(bundle_path).manifest
    assert json.loads(parameters["class_names"].string_value) == manifest.class_names
    assert int(parameters["grid"].string_value) == manifest.network["grid"]
    assert json.loads(parameters["preprocessing"].string_value) == manifest.preprocessing.to_dict()


def test_a_batch_over_the_engines_maximum_is_refused(
    server: TritonProcess, bundle_path: Path, images: list[bytes]
) -> None:
    manifest = Bundle.load(bundle_path).manifest
    maximum = manifest.engine().batch[2]
    encoded = np.array([[images[0]]] * (maximum + 1), dtype=np.object_)
    tensor = grpc.InferInput("image", encoded.shape, "BYTES")
    tensor.set_data_from_numpy(encoded)
    with (
        connection(server) as client,
        pytest.raises(grpc.InferenceServerException, match=f"batch-size must be <= {maximum}"),
    ):
        client.infer("expression", [tensor])


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_labels_are_strings(
    server: TritonProcess, images: list[bytes], expected: list[Prediction], model: str
) -> None:
    encoded = np.array([[image] for image in images], dtype=np.object_)
    tensor = grpc.InferInput("image", encoded.shape, "BYTES")
    tensor.set_data_from_numpy(encoded)
    with connection(server) as client:
        labels = client.infer(model, [tensor]).as_numpy("label")
    assert labels.tolist() == [[prediction.label.encode()] for prediction in expected]


@pytest.mark.parametrize("library", ["grpc", "http"])
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_the_classification_extension_names_the_classes(
    server: TritonProcess, images: list[bytes], expected: list[Prediction], model: str, library: str
) -> None:
    triton = importlib.import_module(f"tritonclient.{library}")
    tensor = triton.InferInput("image", [len(images), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[image] for image in images], dtype=np.object_))
    wanted = [triton.InferRequestedOutput(name, class_count=2) for name in ("probabilities", "logits")]
    with triton.InferenceServerClient(getattr(server.endpoints, library).partition("//")[2]) as client:
        reply = client.infer(model, [tensor], outputs=wanted)
    for prediction, *answers in zip(
        expected, reply.as_numpy("probabilities"), reply.as_numpy("logits"), strict=True
    ):
        names = sorted(prediction.probabilities, key=lambda name: -prediction.probabilities[name])
        for classes in answers:
            assert [text.decode().split(":", 2)[2] for text in classes] == names[:2]


@pytest.mark.parametrize("kind", ["systemsharedmemory", "cudasharedmemory"])
def test_clients_cannot_use_the_servers_shared_memory(server: TritonProcess, kind: str) -> None:
    with (
        connection(server) as client,
        pytest.raises(grpc.InferenceServerException, match="lnlattennet-key"),
    ):
        client.get_system_shared_memory_status() if kind[0] == "s" else client.get_cuda_shared_memory_status()
