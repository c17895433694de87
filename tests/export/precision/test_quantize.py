"""Q/DQ pairs: where they are, what they compute, and whether runtimes fuse them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._apply import apply_plan, planned_layers
from lnlattennet.export.precision._calibration import Ranges
from lnlattennet.runtimes._precision import PrecisionPlan, block_names, uniform_plan
from tests.conftest import SMALL
from tests.export.precision.graphs import values

Faces = NDArray[np.float32]
INT8 = uniform_plan("int8", SMALL)
FP32 = uniform_plan("fp32", SMALL)


@pytest.fixture(scope="module")
def int8(small_standard: onnx.ModelProto, small_ranges: Ranges) -> onnx.ModelProto:
    return apply_plan(small_standard, INT8, small_ranges)


def constants(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def fused_operators(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators of the graph that ONNX Runtime runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load_model(options.optimized_model_filepath).graph.node)


def scale_of(model: onnx.ModelProto, tensor: str) -> float:
    return float(constants(model)[f"{tensor}.int8.scale"])


def test_one_quantized_convolution_gives_what_plain_numpy_gives(
    small_standard: onnx.ModelProto, small_ranges: Ranges, noise_faces: Faces
) -> None:
    """The 1x1 projection: round and clip its input, weight and bias, and multiply."""
    model = apply_plan(small_standard, FP32.raised({"unet.project": "int8"}), small_ranges)
    features, reached = "unet.up1/Relu_1", ("unet.project/Conv_0",)
    (inputs,) = values(small_standard, noise_faces[:2], (features,))
    weight, bias = (constants(small_standard)[f"unet.project.{name}"] for name in ("weight", "bias"))
    low, high = min(0, small_ranges[features][0]), small_ranges[features][1]
    step = (high - low) / 255
    zero = np.round(-low / step)
    fake = (np.clip(np.round(inputs / step) + zero, 0, 255) - zero) * step
    steps = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
    fake_weight = np.round(weight / steps) * steps
    fake_bias = np.round(bias / (steps.ravel() * step)) * steps.ravel() * step
    expected = np.einsum("bchw,oc->bohw", fake, fake_weight[:, :, 0, 0]) + fake_bias[:, None, None]
    (found,) = values(model, noise_faces[:2], reached)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found - values(small_standard, noise_faces[:2], reached)[0]).max() > 1e-3


def test_the_whole_unet_in_int8_stays_close(
    small_standard: onnx.ModelProto, int8: onnx.ModelProto, noise_faces: Faces
) -> None:
    features = ("unet.project/Conv_0",)
    (expected,) = values(small_standard, noise_faces[:4], features)
    (found,) = values(int8, noise_faces[:4], features)
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    assert 1e-4 < error < 0.05


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_joined_shares_a_scale_before_and_after(
    symmetric: bool, small_standard: onnx.ModelProto, small_ranges: Ranges
) -> None:
    model = apply_plan(small_standard, INT8, small_ranges, symmetric=symmetric)
    joined = ["unet.stem/Relu_1", "unet.down1/Relu_1", "unet.up1/Resize_0", "unet.up1/Concat_0"]
    assert len({scale_of(model, tensor) for tensor in joined}) == 1
    assert scale_of(model, "unet.up1/Relu_0") != scale_of(model, joined[0])
    highest = max(small_ranges[tensor][1] for tensor in joined[:2])
    assert scale_of(model, joined[0]) == pytest.approx(highest / (127 if symmetric else 255))
    producers = {value: node.op_type for node in model.graph.node for value in node.output}
    for node in model.graph.node:
        if node.op_type in ("Concat", "Resize") and block_of(node.name) == "unet.up1":
            moved = node.input[:1] if node.op_type == "Resize" else node.input
            assert {producers[value] for value in moved} == {"DequantizeLinear"}


def test_symmetric_graphs_have_what_tensorrt_takes(
    small_standard: onnx.ModelProto, small_ranges: Ranges
) -> None:
    found = constants(apply_plan(small_standard, INT8, small_ranges, symmetric=True))
    zero_points = [values for name, values in found.items() if name.endswith(".zero_point")]
    assert {values.dtype for values in zero_points} == {np.dtype(np.int8)}
    assert not any(values.any() for values in zero_points)


def test_nothing_of_the_head_is_quantized(int8: onnx.ModelProto) -> None:
    pairs = {block_of(node.name) for node in int8.graph.node if node.op_type.endswith("eLinear")}
    assert pairs == {name for name in block_names(SMALL) if name.startswith("unet.")}


@pytest.mark.parametrize("block", ["unet.stem", "unet.down1", "unet.up1", "unet.project"])
def test_a_block_that_is_raised_is_as_it_was_in_float32(
    block: str, small_standard: onnx.ModelProto, small_ranges: Ranges
) -> None:
    """To the letter, its inputs' names included; and every other block keeps its quantized layers."""
    raised = apply_plan(small_standard, INT8.raised({block: "fp32"}), small_ranges)

    def nodes(model: onnx.ModelProto, mine: bool) -> list[str]:
        return [str(node) for node in model.graph.node if (block_of(node.name) == block) == mine]

    assert nodes(raised, mine=True) == nodes(small_standard, mine=True)
    convolutions = [
        node for node in raised.graph.node if node.op_type == "Conv" and block_of(node.name) != block
    ]
    assert all(
        value.endswith("DequantizeLinear_0") or "Dequantize" in value
        for node in convolutions
        for value in node.input
    )


def test_openvino_and_onnx_runtime_run_the_planned_layers_in_int8(
    int8: onnx.ModelProto, small_standard: onnx.ModelProto, tmp_path: Path
) -> None:
    operators = fused_operators(int8, tmp_path)
    assert operators["QLinearConv"] == planned_layers(small_standard, INT8)["int8"] == 6
    assert operators["QLinearConcat"] == 1
    ov = pytest.importorskip("openvino")
    compiled = ov.Core().compile_model(ov.Core().read_model(int8.SerializeToString()), "CPU")
    found = Counter(
        op.get_rt_info()["runtimePrecision"].astype(str)
        for op in compiled.get_runtime_model().get_ops()
        if op.get_rt_info()["layerType"].astype(str) == "Convolution"
    )
    # OpenVINO also runs the one whose result the head reads in float32.
    assert found["u8"] + found["i8"] == 7


@pytest.mark.parametrize("block", ["unet.stem", "unet.down1", "unet.up1", "unet.project"])
def test_onnx_runtime_runs_what_is_planned_next_to_a_raised_block(
    block: str, small_standard: onnx.ModelProto, small_ranges: Ranges, tmp_path: Path
) -> None:
    plan = INT8.raised({block: "fp32"})
    operators = fused_operators(apply_plan(small_standard, plan, small_ranges), tmp_path)
    assert operators["QLinearConv"] == planned_layers(small_standard, plan)["int8"]


def test_missing_ranges_are_named(small_standard: onnx.ModelProto, small_ranges: Ranges) -> None:
    ranges = {name: bounds for name, bounds in small_ranges.items() if name != "unet.up1/Relu_0"}
    with pytest.raises(ExportError, match=r"no range was measured for tensor 'unet\.up1/Relu_0'"):
        apply_plan(small_standard, INT8, ranges)
    with pytest.raises(ExportError, match=r"unet\.up1/Relu_0: a range must be finite"):
        apply_plan(small_standard, INT8, small_ranges | {"unet.up1/Relu_0": (0.0, np.inf)})


def test_weights_that_are_not_finite_are_named(small_standard: onnx.ModelProto, small_ranges: Ranges) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(small_standard)
    (weight,) = [tensor for tensor in broken.graph.initializer if tensor.name == "unet.project.weight"]
    values = numpy_helper.to_array(weight).copy()
    values[0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(ExportError, match=r"unet\.project\.weight: weights that are not finite"):
        apply_plan(broken, PrecisionPlan(INT8.blocks), small_ranges)
