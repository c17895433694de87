"""The ONNX file: its fused operator, its names, and what every reader of it finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._precision import block_names
from tests.conftest import SMALL

FUSED = "local_nonlocal_attention"


def faces(count: int, size: int = 48) -> NDArray[np.float32]:
    return np.random.default_rng(count).standard_normal((count, 3, size, size)).astype(np.float32)


def expected(network: LNLAttenNet, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    with torch.inference_mode():
        return [output.numpy() for output in network(torch.from_numpy(images))]


def run(model: onnx.ModelProto, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(list(OUTPUT_NAMES), {"image": images}))


def assert_close(found: list[NDArray[np.float32]], wanted: list[NDArray[np.float32]]) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)


@pytest.fixture
def model(small_onnx: Path) -> onnx.ModelProto:
    return onnx.load_model(str(small_onnx))


def test_the_file_is_valid_and_dynamic_and_names_nothing_of_this_machine(
    small_onnx: Path, model: onnx.ModelProto
) -> None:
    onnx.checker.check_model(model, full_check=True)
    tensors = [*model.graph.input, *model.graph.output]
    assert [tensor.name for tensor in tensors] == ["image", *OUTPUT_NAMES]
    for tensor in tensors:
        assert tensor.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not any(group in node.op_type for node in model.graph.node for group in ("Loop", "Scan", "If"))
    for secret in (str(Path.cwd()), str(Path.home()), "site-packages", ".py"):
        assert secret.encode() not in small_onnx.read_bytes()


def test_the_versions_are_those_of_the_oldest_runtimes(model: onnx.ModelProto) -> None:
    assert model.ir_version == 8
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18, "lnlattennet": 1}


def test_the_metadata_says_what_inputs_and_outputs_mean(
    model: onnx.ModelProto, small_standard: onnx.ModelProto, checkpoint_path: Path
) -> None:
    info = load_checkpoint(checkpoint_path).info
    for form in (model, small_standard):
        facts = {item.key: item.value for item in form.metadata_props}
        assert set(facts) == {"class_names", "preprocessing", "network", "license"}
        assert tuple(json.loads(facts["class_names"])) == info.class_names
        assert Preprocessing.from_dict(json.loads(facts["preprocessing"])) == info.preprocessing
        assert NetworkConfig.from_dict(json.loads(facts["network"])) == info.config


def test_the_fused_attention_is_one_node_with_a_body_in_standard_operators(model: onnx.ModelProto) -> None:
    (node,) = [node for node in model.graph.node if node.domain]
    assert (node.domain, node.op_type, node.name) == ("lnlattennet", FUSED, f"attention/{FUSED}_0")
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    assert attributes == {"grid": 4, "plugin_namespace": b"lnlattennet"}
    assert node.input[1:] == [
        "local_networks.query",
        *(f"nonlocal_attention.{name}" for name in ("position", "query.weight", "key.weight")),
        *(f"nonlocal_attention.{name}" for name in ("value.weight", "value.bias")),
        f"attention/{FUSED}_0.7",
    ]
    (function,) = model.functions
    assert (function.domain, function.name) == ("lnlattennet", FUSED)
    assert {node.domain for node in function.node} == {""}


def test_local_networks_are_batched_products_and_never_grouped_convolutions(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert all(attribute.i == 1 for attribute in node.attribute if attribute.name == "group")


def test_every_node_is_named_after_its_block(model: onnx.ModelProto, small_standard: onnx.ModelProto) -> None:
    for form in (model, small_standard):
        names = [node.name for node in form.graph.node]
        assert len(set(names)) == len(names)
        assert tuple(dict.fromkeys(map(block_of, names))) == block_names(SMALL)
    joins = [node.name for node in model.graph.node if node.op_type in ("Resize", "Concat")]
    assert joins == ["unet.up1/Resize_0", "unet.up1/Concat_0", "fusion/Concat_0"]


def test_the_standard_form_has_standard_operators_only_and_less_to_compute(
    model: onnx.ModelProto, small_standard: onnx.ModelProto
) -> None:
    before = model.SerializeToString()
    onnx.checker.check_model(small_standard, full_check=True)
    assert not small_standard.functions
    assert {node.domain for node in small_standard.graph.node} == {""}
    assert {opset.domain for opset in small_standard.opset_import} == {""}
    constants = {tensor.name for tensor in small_standard.graph.initializer}
    assert not any(constants.issuperset(node.input) for node in small_standard.graph.node)
    inlined(model)
    assert model.SerializeToString() == before


def test_both_forms_give_what_torch_gives(
    model: onnx.ModelProto, small_standard: onnx.ModelProto, checkpoint_path: Path
) -> None:
    network = load_checkpoint(checkpoint_path).network()
    for count in (1, 5):
        wanted = expected(network, faces(count))
        assert wanted[0].std() > 0.1
        assert_close(run(model, faces(count)), wanted)
        assert_close(run(small_standard, faces(count)), wanted)


def test_openvino_reads_the_standard_form(small_standard: onnx.ModelProto, checkpoint_path: Path) -> None:
    ov = pytest.importorskip("openvino")
    core = ov.Core()
    network = core.read_model(small_standard.SerializeToString())
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = compiled({"image": faces(3)})
    wanted = expected(load_checkpoint(checkpoint_path).network(), faces(3))
    assert_close([answers[name] for name in OUTPUT_NAMES], wanted)


def test_tensorrt_rtx_parses_both_forms(model: onnx.ModelProto, small_standard: onnx.ModelProto) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    for form in (model, small_standard):
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(form.SerializeToString()), [str(parser.get_error(0))]
        assert [network.get_output(index).name for index in range(3)] == list(OUTPUT_NAMES)


def test_polygraphy_finds_no_difference_between_the_forms(
    small_onnx: Path, small_standard: onnx.ModelProto
) -> None:
    from polygraphy.backend.onnx import OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator
    from polygraphy.logger import G_LOGGER

    with G_LOGGER.verbosity(G_LOGGER.CRITICAL):
        fused = onnx.load_model_from_string(OnnxFromPath(str(small_onnx))().SerializeToString())
        runners = [
            OnnxrtRunner(SessionFromOnnx(form.SerializeToString(), providers=["cpu"]), name=name)
            for name, form in (("fused", fused), ("standard", small_standard))
        ]
        results = Comparator.run(runners, data_loader=[{"image": faces(2)}])
        compared = Comparator.compare_accuracy(results)
    assert set(results[0][1][0]) == set(OUTPUT_NAMES)
    assert bool(compared)


OTHER_SHAPES = {
    "one level, one head, one region, features at the image's own resolution": NetworkConfig(
        classes=2,
        image_size=16,
        widths=(4,),
        channels=5,
        heads=1,
        local_features=3,
        affinity_features=2,
        out_stride=1,
        grid=1,
    ),
    "residual blocks, local networks that see their own region": NetworkConfig(
        classes=2,
        image_size=16,
        widths=(4, 6),
        blocks=(1, 1),
        channels=5,
        local_channels=2,
        local_features=3,
        affinity_features=2,
        grid=2,
        weight_temperature=0.3,
    ),
}


@pytest.mark.parametrize("shape", OTHER_SHAPES)
def test_other_shapes_are_exported_alike_and_torch_is_left_as_it_was(shape: str, tmp_path: Path) -> None:
    config = OTHER_SHAPES[shape]
    torch.manual_seed(0)
    network = LNLAttenNet(config).eval()
    if config.local_channels:
        torch.nn.init.normal_(network.local_evidence.weight)
    info = CheckpointInfo(config=config, class_names=("calm", "angry"), preprocessing=Preprocessing(size=16))
    path, wanted = tmp_path / "model.onnx", expected(network, faces(2, 16))
    export_onnx(Checkpoint(info, network.state_dict()), path, BatchRange(1, 1, 2))
    for before, after in zip(wanted, expected(network, faces(2, 16)), strict=True):
        np.testing.assert_array_equal(before, after)
    model = onnx.load_model(str(path))
    assert_close(run(inlined(model), faces(2, 16)), wanted)
    assert tuple(dict.fromkeys(block_of(node.name) for node in model.graph.node)) == block_names(config)


def test_a_graph_that_is_not_valid_is_refused(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Convolve"
    with pytest.raises(
        ExportError, match=r"LNLAttenNet is not a valid ONNX graph: No Op registered for Conv"
    ):
        inlined(model)


def test_no_node_reads_an_output_and_every_value_has_a_shape(
    model: onnx.ModelProto, small_standard: onnx.ModelProto
) -> None:
    for form in (model, small_standard):
        outputs = {value.name for value in form.graph.output}
        assert not any(outputs.intersection(node.input) for node in form.graph.node)
        shapes = {
            value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in form.graph.value_info
        }
        assert set(shapes) == {value for node in form.graph.node for value in node.output} - outputs
        for name, axes in shapes.items():
            assert axes.count("batch") == 1, name
            assert all(axis == "batch" or axis > 0 for axis in axes), name


def test_constants_are_tensors_and_the_standard_domain_comes_first(
    model: onnx.ModelProto, small_standard: onnx.ModelProto
) -> None:
    """Tools drop other attributes of a Constant, and take the first opset for ONNX's."""
    (function,) = model.functions
    constants = [node for node in (*model.graph.node, *function.node) if node.op_type == "Constant"]
    assert constants
    assert {attribute.name for node in constants for attribute in node.attribute} == {"value"}
    for form in (model, small_standard, function):
        assert form.opset_import[0].domain == ""
