"""Plans applied: types, casts, counts, and what is refused; TensorRT-RTX builds every kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._apply import apply_plan, planned_layers
from lnlattennet.export.precision._calibration import Ranges
from lnlattennet.runtimes._precision import PrecisionPlan, read_plan, uniform_plan
from tests.conftest import SMALL
from tests.export.precision.graphs import values

Faces = NDArray[np.float32]
FP32 = uniform_plan("fp32", SMALL)
INT8 = uniform_plan("int8", SMALL)
MIXED = INT8.raised({"unet.up1": "fp16", "attention": "bf16", "local_networks": "fp16", "fusion": "fp16"})


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_plan_of_float32_changes_nothing(small_standard: onnx.ModelProto) -> None:
    assert apply_plan(small_standard, FP32, {}) == small_standard


def test_a_variant_carries_its_plan_and_leaves_the_model_alone(
    small_standard: onnx.ModelProto, small_ranges: Ranges, tmp_path: Path
) -> None:
    before = small_standard.SerializeToString()
    variant = apply_plan(small_standard, MIXED, small_ranges)
    assert small_standard.SerializeToString() == before
    facts = {item.key: item.value for item in variant.metadata_props}
    (tmp_path / "plan.json").write_text(facts["precision_plan"])
    assert read_plan(tmp_path / "plan.json", SMALL) == MIXED
    assert facts.items() >= {item.key: item.value for item in small_standard.metadata_props}.items()
    assert [value.name for value in variant.graph.output] == [
        value.name for value in small_standard.graph.output
    ]


@pytest.mark.parametrize(("precision", "versions"), [("fp16", (18, 8)), ("bf16", (22, 10))])
def test_sixteen_bits_cost_one_cast_in_and_one_per_output(
    precision: str, versions: tuple[int, int], small_standard: onnx.ModelProto
) -> None:
    model = apply_plan(small_standard, uniform_plan(precision, SMALL), {})
    assert (model.opset_import[0].version, model.ir_version) == versions
    assert operators(model)["Cast"] == 4
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kept = [name for name, kind in types.items() if kind == TensorProto.FLOAT]
    # The factors of an upsampling are float32 whatever its values are.
    assert kept == ["unet.up1/Resize_0.2"]
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {TensorProto.FLOAT}


def test_float16_is_close(small_standard: onnx.ModelProto, noise_faces: Faces) -> None:
    found = values(apply_plan(small_standard, uniform_plan("fp16", SMALL), {}), noise_faces[:4])
    for one, other in zip(found, values(small_standard, noise_faces[:4]), strict=True):
        np.testing.assert_allclose(one, other, atol=0.1)
    assert np.abs(found[0] - values(small_standard, noise_faces[:4])[0]).max() > 1e-5


def test_one_block_in_float16_touches_no_other_block(
    small_standard: onnx.ModelProto, noise_faces: Faces
) -> None:
    model = apply_plan(small_standard, FP32.raised({"unet.down1": "fp16"}), {})

    def others(graph: onnx.GraphProto) -> list[tuple[str, str]]:
        nodes = [node for node in graph.node if block_of(node.name) != "unet.down1"]
        return [(node.name, node.op_type) for node in nodes if node.op_type != "Cast"]

    assert others(model.graph) == others(small_standard.graph)
    assert operators(model)["Cast"] == 2
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    assert all(name.startswith("unet.down.0.") for name in halves)
    assert len(halves) == 4
    assert np.isfinite(values(model, noise_faces[:1])[0]).all()


@pytest.mark.parametrize(
    "plan",
    [
        *(uniform_plan(name, SMALL) for name in ("fp16", "bf16", "int8", "fp8")),
        MIXED,
    ],
    ids=lambda plan: "+".join(sorted(plan.precisions)),
)
def test_tensorrt_rtx_builds_a_strongly_typed_engine(
    plan: PrecisionPlan, small_standard: onnx.ModelProto, small_ranges: Ranges
) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    model = apply_plan(small_standard, plan, small_ranges, symmetric=True)
    assert parser.parse(model.SerializeToString()), [str(parser.get_error(0))]
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("image", *[(batch, 3, 48, 48) for batch in (1, 4, 8)])
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None


def test_int8_and_float16_together_give_close_answers(
    small_standard: onnx.ModelProto, small_ranges: Ranges, noise_faces: Faces
) -> None:
    plan = INT8.raised({"unet.up1": "fp16", "fusion": "fp16"})
    features = ("unet.project/Conv_0",)
    (found,) = values(apply_plan(small_standard, plan, small_ranges), noise_faces[:4], features)
    (expected,) = values(small_standard, noise_faces[:4], features)
    assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.05


def test_fp8_is_close_where_it_can_be_run(
    small_standard: onnx.ModelProto, small_ranges: Ranges, noise_faces: Faces
) -> None:
    model = apply_plan(small_standard, uniform_plan("fp8", SMALL), small_ranges)
    assert (model.opset_import[0].version, model.ir_version) == (19, 9)
    features = ("unet.project/Conv_0",)
    (found,) = values(model, noise_faces[:4], features)
    (expected,) = values(small_standard, noise_faces[:4], features)
    assert 1e-3 < np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.2


def test_planned_layers_counts_what_is_quantized_and_what_stays(small_standard: onnx.ModelProto) -> None:
    # 7 convolutions; in the head: scores, queries, keys, values, region scores, local networks, fusion.
    assert planned_layers(small_standard, FP32) == {"fp32": 14}
    # The last convolution gives the head floats.
    assert planned_layers(small_standard, INT8) == {"fp32": 8, "int8": 6}
    # And so do, to unet.up1, the last ones of unet.stem and unet.down1.
    assert planned_layers(small_standard, MIXED) == {"fp32": 3, "bf16": 5, "fp16": 4, "int8": 2}


def test_a_constant_beyond_float16_is_refused_by_name(small_standard: onnx.ModelProto) -> None:
    large = onnx.ModelProto()
    large.CopyFrom(small_standard)
    (bias,) = [tensor for tensor in large.graph.initializer if tensor.name == "fusion.bias"]
    bias.CopyFrom(numpy_helper.from_array(np.full(7, 7e4, np.float32), bias.name))
    with pytest.raises(
        ExportError, match=r"constant fusion\.bias holds 70000, but float16 ends at 65504; cho"
    ):
        apply_plan(large, uniform_plan("fp16", SMALL), {})
    apply_plan(large, FP32.raised({"fusion": "bf16"}), {})


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({**FP32.blocks, "fusion": "int4"}, "block fusion: unknown precision 'int4'; known: fp32, bf16"),
        ({**FP32.blocks, "unet.down9": "fp16"}, "the plan names block 'unet.down9', which the model lacks"),
        ({"unet.stem": "fp16"}, "the plan has no precision for block 'unet.down1'; its blocks: unet.stem"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(
    blocks: dict[str, str], message: str, small_standard: onnx.ModelProto
) -> None:
    for function in (
        lambda plan: apply_plan(small_standard, plan, {}),
        lambda plan: planned_layers(small_standard, plan),
    ):
        with pytest.raises(ExportError, match=message):
            function(PrecisionPlan(blocks))


def test_a_plan_is_not_applied_to_a_variant(small_standard: onnx.ModelProto) -> None:
    variant = apply_plan(small_standard, uniform_plan("fp16", SMALL), {})
    with pytest.raises(ExportError, match="follows a precision plan already"):
        apply_plan(variant, FP32, {})
