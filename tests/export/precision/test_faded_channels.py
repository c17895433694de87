"""Channels that a batch norm has scaled to nearly nothing: what is left of them is their bias."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from lnlattennet.export.precision._quantize import quantize_blocks


@pytest.mark.parametrize(
    "optimization", [ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL]
)
def test_a_convolution_in_int8_keeps_the_bias_of_every_channel(
    optimization: ort.GraphOptimizationLevel,
) -> None:
    """Node by node, and fused to one convolution of 8-bit numbers."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.5, (4, 3, 1, 1)).astype(np.float32)
    weight[1] *= 1e-9
    weight[2:] = 0
    bias = np.array([0.25, 0.7, -1.9, 0.0], np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weight", "bias"], ["sums"], "block/Conv_0"),
        helper.make_node("Conv", ["sums", "unit"], ["result"], "block/Conv_1"),
    ]
    unit = np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1)
    constants = {"weight": weight, "bias": bias, "unit": unit}
    graph = helper.make_graph(
        nodes,
        "two convolutions",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    edited = onnx_ir.from_proto(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    )
    ranges = {"image": (-2.0, 2.0), "sums": (-2.0, 2.0)}
    quantize_blocks(edited.graph, {"block"}, ranges, "int8", symmetric=False)
    image = rng.uniform(-2, 2, (1, 3, 8, 8)).astype(np.float32)
    options = ort.SessionOptions()
    options.graph_optimization_level = optimization
    # It tells of the constants in float32, which nothing reads any longer.
    options.log_severity_level = 3
    model: onnx.ModelProto = onnx_ir.to_proto(edited)
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    [result] = session.run(None, {"image": image})
    expected = np.einsum("bchw,oc->bohw", image, weight[:, :, 0, 0]) + bias[:, None, None]
    # One step of the sums, of 8 bits from -2 to 2.
    np.testing.assert_allclose(result[:, 1:], expected[:, 1:], atol=4 / 255)
