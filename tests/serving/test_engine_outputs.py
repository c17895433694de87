"""Outputs of a real engine that break a rule: the same error through every way to a prediction."""

from __future__ import annotations

import importlib
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import parser
from PIL import Image

from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.errors import EngineOutputError, ServingError
from lnlattennet.evaluation.predictors._open import open_predictor
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("tritonclient")

Color = tuple[int, int, int]
ENGINE = "onnxruntime-fp32"
GRAY, BLACK = (128, 128, 128), (0, 0, 0)
RULES = {
    (255, 0, 0): "logits must be finite, got nan",
    (0, 255, 0): "region_weights must sum to 1 within 0.005, got 2",
    (0, 0, 255): "region_affinity must not be negative, got -",
    (255, 255, 255): r"logits must be float32 \[1, 7\], got float32 \[1, 6\]",
}
"""Color of a face -> the rule that the engine's outputs break; at black the engine fails."""

# The channels' brightness makes a code: 1 red, 2 green, 4 blue, 7 white, 8 (outside every table) black.
FAULTS = """
faults (float[n, 3, s, s] image, float[n, 7] sound_logits, float[n, k] sound_region_weights,
        float[n, k, k] sound_region_affinity)
    => (float[n, c] logits, float[n, k] region_weights, float[n, k, k] region_affinity)
{
    fault_axes = Constant <value_ints = [0, 2, 3]> ()
    fault_zero = Constant <value_ints = [0]> ()
    fault_one = Constant <value_ints = [1]> ()
    fault_three = Constant <value_ints = [3]> ()
    fault_eight = Constant <value_ints = [8]> ()
    fault_high = Constant <value_float = 1.0> ()
    fault_low = Constant <value_float = -1.0> ()
    fault_bits = Constant <value_ints = [1, 2, 4]> ()
    fault_means = ReduceMean <keepdims = 0> (image, fault_axes)
    fault_bright = Greater (fault_means, fault_high)
    fault_bright_bits = Cast <to = 7> (fault_bright)
    fault_products = Mul (fault_bright_bits, fault_bits)
    fault_color = ReduceSum <keepdims = 1> (fault_products, fault_zero)
    fault_dark = Less (fault_means, fault_low)
    fault_dark_bits = Cast <to = 7> (fault_dark)
    fault_dark_count = ReduceSum <keepdims = 1> (fault_dark_bits, fault_zero)
    fault_is_black = Div (fault_dark_count, fault_three)
    fault_black = Mul (fault_is_black, fault_eight)
    fault_code = Add (fault_color, fault_black)
    fault_squares = Constant <value_floats = [1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]> ()
    fault_square = Gather (fault_squares, fault_code)
    fault_root = Sqrt (fault_square)
    fault_logits = Mul (sound_logits, fault_root)
    fault_ends = Constant <value_ints = [7, 7, 7, 7, 7, 7, 7, 6]> ()
    fault_end = Gather (fault_ends, fault_code)
    logits = Slice (fault_logits, fault_zero, fault_end, fault_one)
    fault_scales = Constant <value_floats = [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]> ()
    fault_scale = Gather (fault_scales, fault_code)
    region_weights = Mul (sound_region_weights, fault_scale)
    fault_signs = Constant <value_floats = [1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0]> ()
    fault_sign = Gather (fault_signs, fault_code)
    region_affinity = Mul (sound_region_affinity, fault_sign)
}
"""


@pytest.fixture(scope="module")
def faulty_bundle(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with right hashes whose selected engine breaks a rule at some colors."""
    folder = Path(shutil.copytree(bundle_path, tmp_path_factory.mktemp("faulty") / "bundle"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (file,) = (engine["file"] for engine in manifest["engines"] if engine["name"] == ENGINE)
    model = onnx.load(folder / file)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"sound_{name}" if name in OUTPUT_NAMES else name for name in names]
    model.graph.node.extend(parser.parse_graph(FAULTS).node)
    onnx.save(model, folder / file)
    manifest["files"][file] = hash_file(folder / file).model_dump()
    manifest["selected"] = ENGINE
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def faulty_server(
    faulty_bundle: Path, serve: Callable[..., AbstractContextManager[TritonProcess]]
) -> Iterator[TritonProcess]:
    """A server of that bundle, the engine a step of its own; its own test image gets sound outputs."""
    with serve(faulty_bundle, "ensemble") as process:
        yield process


def png(color: Color) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (48, 48), color).save(stream, "PNG")
    return stream.getvalue()


def face(color: Color) -> NDArray[np.uint8]:
    return np.full((1, 48, 48, 3), color, np.uint8)


def predict_faces(bundle: str, color: Color) -> None:
    Bundle.load(bundle).predict(face(color))


def predict_images(bundle: str, color: Color) -> None:
    LocalPredictor(Bundle.load(bundle)).predict([png(color)])


def evaluate(model: str, color: Color) -> None:
    with open_predictor(model) as predictor:
        predictor.predict(face(color))


@pytest.mark.parametrize(("color", "rule"), RULES.items())
@pytest.mark.parametrize("predict", [predict_faces, predict_images, evaluate])
def test_a_broken_rule_is_the_same_error_in_this_process(
    predict: Callable[[str, Color], object], color: Color, rule: str, faulty_bundle: Path
) -> None:
    with pytest.raises(EngineOutputError, match=rf"^engine output {rule}.*; export the bundle again"):
        predict(str(faulty_bundle), color)


@pytest.mark.parametrize(("color", "rule"), RULES.items())
@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_broken_rule_is_the_same_error_from_a_server(
    model: str, protocol: str, color: Color, rule: str, faulty_server: TritonProcess
) -> None:
    with Client(getattr(faulty_server.endpoints, protocol), model) as client:
        with pytest.raises(EngineOutputError, match=rf"^engine output {rule}.*; export the bundle again"):
            client.predict([png(color)])
        assert client.predict([png(GRAY)])[0].label


@pytest.mark.parametrize(("color", "rule"), RULES.items())
def test_evaluating_a_server_gives_the_same_error(
    color: Color, rule: str, faulty_server: TritonProcess
) -> None:
    with pytest.raises(EngineOutputError, match=rf"^engine output {rule}"):
        evaluate(faulty_server.endpoints.grpc, color)


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_an_internal_fault_is_explained_in_the_log_only(faulty_server: TritonProcess, model: str) -> None:
    with Client(faulty_server.endpoints.grpc, model) as client, pytest.raises(ServingError) as caught:
        client.predict([png(BLACK)])
    assert not isinstance(caught.value, EngineOutputError)
    assert "internal error in " in str(caught.value)
    assert "Gather" not in str(caught.value)
    assert "Gather" in faulty_server.log.read_text()


@pytest.mark.parametrize(("library", "internal"), [("http", "500"), ("grpc", "StatusCode.INTERNAL")])
@pytest.mark.parametrize("broken", ["region_weights must sum to 1", "logits must be finite"])
def test_outputs_of_an_engine_in_a_backend_of_the_servers_own_are_checked(
    faulty_server: TritonProcess, library: str, internal: str, broken: str
) -> None:
    arrays = {
        "logits": np.zeros((1, 7), np.float32),
        "region_weights": np.full((1, 16), 1 / 16, np.float32),
        "region_affinity": np.full((1, 16, 16), 1 / 16, np.float32),
    }
    if broken.startswith("region_weights"):
        arrays["region_weights"] *= 2
    else:
        arrays["logits"][0, 0] = np.nan
    triton = importlib.import_module(f"tritonclient.{library}")
    tensors = [triton.InferInput(name, array.shape, "FP32") for name, array in arrays.items()]
    for tensor, array in zip(tensors, arrays.values(), strict=True):
        tensor.set_data_from_numpy(array)
    length = faulty_server.log.stat().st_size
    address = getattr(faulty_server.endpoints, library).partition("//")[2]
    with (
        triton.InferenceServerClient(address) as client,
        pytest.raises(triton.InferenceServerException) as caught,
    ):
        client.infer("expression_postprocess", tensors)
    assert caught.value.status() == internal
    assert caught.value.message().startswith(f"engine output {broken}")
    assert ".py" not in caught.value.message()
    # The server answers first and writes its log when it comes to it.
    deadline = time.monotonic() + 10
    while "EngineOutputError" not in faulty_server.log.read_text()[length:]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
