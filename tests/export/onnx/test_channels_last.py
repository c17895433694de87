"""The rearranged graph: the answers and tensors of the network, from other convolutions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from lnlattennet.export.onnx._channels_last import channels_last
from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._apply import apply_plan
from lnlattennet.export.precision._calibration import activation_ranges
from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._precision import block_names, uniform_plan
from tests.export.precision.graphs import values

CONFIGS = {
    "plain": NetworkConfig(image_size=48, widths=(8, 12, 40), channels=20, heads=2),
    "every level narrow": NetworkConfig(
        image_size=48, widths=(24, 16, 8), out_stride=1, grid=3, classes=5, channels=32
    ),
    "all wide": NetworkConfig(image_size=48, widths=(32, 48), out_stride=4, channels=40, grid=1),
    "projection to less": NetworkConfig(image_size=48, widths=(48,), out_stride=4, channels=20),
    "residual": NetworkConfig(image_size=48, widths=(32, 40), blocks=(1, 2), out_stride=4, channels=40),
    "two projections": NetworkConfig(
        image_size=48, widths=(16, 24), out_stride=4, channels=40, local_channels=16
    ),
    "odd columns": NetworkConfig(image_size=72, widths=(16,), out_stride=8, grid=3, channels=20),
}
"""What the rearrangement may meet; heads, grid and classes change the head's shapes."""


def standard_graph(config: NetworkConfig, folder: Path) -> onnx.ModelProto:
    """A network with random weights and statistics, in standard operators."""
    torch.manual_seed(0)
    network = LNLAttenNet(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            assert module.running_mean is not None
            torch.nn.init.normal_(module.running_mean)
    for name, parameter in network.named_parameters():
        if name.startswith("local_evidence"):  # zeros at first
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        network.nonlocal_attention.score.weight.mul_(20)
    info = CheckpointInfo(
        config=config,
        class_names=tuple(f"class {index}" for index in range(config.classes)),
        preprocessing=Preprocessing(size=config.image_size),
    )
    path = folder / "model-function.onnx"
    export_onnx(Checkpoint(info, network.state_dict()), path, BatchRange(1, 2, 4))
    return inlined(onnx.load_model(str(path)))


@pytest.fixture(scope="module", params=CONFIGS)
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def standard(config: NetworkConfig, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return standard_graph(config, tmp_path_factory.mktemp("graphs"))


def images(config: NetworkConfig, count: int) -> NDArray[np.float32]:
    size = config.image_size
    return np.random.default_rng(count).standard_normal((count, 3, size, size)).astype(np.float32)


def convolutions(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Name of every convolution -> shape of its weight."""
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    return {node.name: shapes[node.input[1]] for node in model.graph.node if node.op_type == "Conv"}


@pytest.mark.parametrize("count", [1, 3])
def test_it_gives_the_same_answers(standard: onnx.ModelProto, config: NetworkConfig, count: int) -> None:
    faces = images(config, count)
    for one, other in zip(values(channels_last(standard), faces), values(standard, faces), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-4)


def test_openvino_gives_the_answers_of_both_graphs(standard: onnx.ModelProto, config: NetworkConfig) -> None:
    core = pytest.importorskip("openvino").Core()
    faces = images(config, 8)
    for form in (standard, channels_last(standard)):
        network = core.read_model(form.SerializeToString())
        network.reshape(faces.shape)
        answers = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"image": faces})
        for name, wanted in zip(OUTPUT_NAMES, values(standard, faces), strict=True):
            np.testing.assert_allclose(answers[name], wanted, atol=1e-4, rtol=1e-4, err_msg=name)


def test_the_u_nets_tensors_of_a_name_have_the_same_values(
    standard: onnx.ModelProto, config: NetworkConfig
) -> None:
    """So ranges that were measured in one graph hold in the other."""
    rearranged, faces = channels_last(standard), images(config, 2)
    there = [{value for node in one.graph.node for value in node.output} for one in (standard, rearranged)]
    names = tuple(sorted(name for name in set.intersection(*there) if name.startswith("unet.")))
    assert len(names) > 3
    pairs = zip(values(rearranged, faces, names), values(standard, faces, names), strict=True)
    for name, (one, other) in zip(names, pairs, strict=True):
        np.testing.assert_allclose(np.sort(one, None), np.sort(other, None), atol=1e-4, err_msg=name)


def test_narrow_convolutions_become_wide_and_upsampled_values_are_not_convolved(
    tmp_path: Path,
) -> None:
    standard = standard_graph(CONFIGS["every level narrow"], tmp_path)
    rearranged = channels_last(standard)
    assert {shape[0] for shape in convolutions(standard).values() if shape[2:] == [3, 3]} == {8, 16, 24}
    assert {shape[0] for name, shape in convolutions(rearranged).items()} == {16, 32, 48}
    operators = [node.op_type for node in rearranged.graph.node]
    assert "Resize" not in operators
    # The first convolution of the finest level up: 24 + 16 channels before, now pairs of columns of either.
    up1 = [shape for name, shape in convolutions(rearranged).items() if block_of(name) == "unet.up1"]
    assert up1 == [[48, 16, 2, 3], [48, 16, 2, 3], [48, 24, 3, 4], [48, 24, 3, 4]]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("all wide", {"stem": 3, "down1": 2, "up1": 2}), ("odd columns", {"stem": 2})],
)
def test_wide_convolutions_and_those_of_odd_columns_stay(
    name: str, kept: dict[str, int], tmp_path: Path
) -> None:
    """An odd number of columns cannot be paired: of 72 columns, the third halving leaves 9."""
    standard = standard_graph(CONFIGS[name], tmp_path)
    before, after = convolutions(standard), convolutions(channels_last(standard))
    same = [block_of(node) for node, shape in before.items() if after.get(node) == shape]
    assert same == [f"unet.{block}" for block, count in kept.items() for _ in range(count)]


def set_attributes(node: onnx.NodeProto, **values: object) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend([*kept, *(onnx.helper.make_attribute(*item) for item in values.items())])


def dilate(graph: onnx.GraphProto, convolution: onnx.NodeProto) -> None:
    set_attributes(convolution, dilations=[2, 2], pads=[2, 2, 2, 2])


def split_in_groups(graph: onnx.GraphProto, convolution: onnx.NodeProto) -> None:
    set_attributes(convolution, group=2)
    [weight] = [tensor for tensor in graph.initializer if tensor.name == convolution.input[1]]
    halved = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(halved[:, ::2].copy(), weight.name))


def upsample_otherwise(graph: onnx.GraphProto, convolution: onnx.NodeProto) -> None:
    [resize] = [node for node in graph.node if node.op_type == "Resize"]
    set_attributes(resize, nearest_mode="ceil")


@pytest.mark.parametrize("change", [dilate, split_in_groups, upsample_otherwise])
def test_what_computes_otherwise_is_not_taken_for_what_it_knows(
    change: Callable[[onnx.GraphProto, onnx.NodeProto], None], tmp_path: Path
) -> None:
    config = NetworkConfig(image_size=48, widths=(16, 24), out_stride=2, channels=40)
    standard = standard_graph(config, tmp_path)
    convolution = next(node for node in standard.graph.node if node.name == "unet.up1/Conv_0")
    change(standard.graph, convolution)
    faces = images(config, 2)
    for one, other in zip(values(channels_last(standard), faces), values(standard, faces), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-4)


def test_every_block_of_a_plan_is_there_and_features_are_pooled_before_they_are_projected_to_more(
    standard: onnx.ModelProto, config: NetworkConfig
) -> None:
    nodes = channels_last(standard).graph.node
    assert {block_of(node.name) for node in nodes} == set(block_names(config))
    convolved = "Conv" in [node.op_type for node in nodes if block_of(node.name) == "unet.project"]
    assert convolved == (config is CONFIGS["projection to less"])
    averaged = "ReduceMean" in [node.op_type for node in nodes if block_of(node.name) == "attention"]
    assert averaged == convolved


@pytest.mark.parametrize("floats", [[], ["unet.stem"], ["unet.up1", "unet.project"]])
def test_ranges_of_the_standard_graph_quantize_it(
    standard: onnx.ModelProto, config: NetworkConfig, floats: list[str]
) -> None:
    """Also where a block in floats stands before one in 8 bits."""
    blocks = set(block_names(config))
    plan = uniform_plan("int8", config).raised(dict.fromkeys(blocks & set(floats), "fp32"))
    faces = images(config, 8)
    ranges = activation_ranges(standard, faces, "minmax")
    logits, weights, _ = values(apply_plan(channels_last(standard), plan, ranges), faces)
    exact_logits, exact_weights, _ = values(standard, faces)
    assert np.abs(logits - exact_logits).max() < 0.1 * np.abs(exact_logits).max()
    np.testing.assert_allclose(weights, exact_weights, atol=0.05)


def test_the_given_graph_is_not_changed(standard: onnx.ModelProto) -> None:
    before = standard.SerializeToString(deterministic=True)
    channels_last(standard)
    assert standard.SerializeToString(deterministic=True) == before
