"""Small graphs in every precision that a runtime's engines are built from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QUANTIZED_TYPES = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}
FLOAT_TYPES = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
CHANNELS = 3


def write_graph(path: Path, precision: str, convolutions: int = 3, size: int = 8) -> Path:
    """Write ``convolutions`` 3x3 convolutions from image [batch, 3, S, S] to logits of the same shape.

    All of them run in ``precision``, between casts or Q/DQ pairs; input and output are float32.
    """
    weights = np.random.default_rng(0).standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) * 0.1
    graph = _Graph(FLOAT_TYPES.get(precision, TensorProto.FLOAT))
    tensor = graph.add("Cast", ["image"], to=graph.type)
    for index in range(convolutions):
        weight = graph.constant(f"weight{index}", weights)
        if precision in QUANTIZED_TYPES:
            tensor = graph.quantized(tensor, QUANTIZED_TYPES[precision], [0.05])
            weight = graph.quantized(weight, QUANTIZED_TYPES[precision], [0.01] * CHANNELS)
        tensor = graph.add("Conv", [tensor, weight], pads=[1] * 4)
    graph.add("Cast", [tensor], output="logits", to=TensorProto.FLOAT)
    onnx.save_model(graph.model(size), str(path))
    return path


class _Graph:
    def __init__(self, element_type: int) -> None:
        self.type = element_type
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: int | list[int]) -> str:
        output = output or f"{kind}{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [output], name=f"node/{output}")
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return output

    def constant(self, name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
        tensor = helper.make_tensor(name, self.type, values.shape, values.ravel().tolist())
        self._initializers.append(tensor)
        return name

    def quantized(self, tensor: str, quantized_type: int, scales: list[float]) -> str:
        """Add a Q/DQ pair: one scale for the tensor, or one per slice along its first axis."""
        values = np.array(scales if len(scales) > 1 else scales[0], np.float32)
        scale, zero = f"{tensor}_scale", f"{tensor}_zero"
        self._initializers.append(numpy_helper.from_array(values, scale))
        zeros = [0] * len(scales)
        self._initializers.append(helper.make_tensor(zero, quantized_type, values.shape, zeros))
        # ONNX ignores the axis of a single scale.
        inputs = [self.add("QuantizeLinear", [tensor, scale, zero], axis=0), scale, zero]
        return self.add("DequantizeLinear", inputs, axis=0)

    def model(self, size: int) -> onnx.ModelProto:
        shape: list[str | int | None] = ["batch", CHANNELS, size, size]
        names = ("image", "logits")
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
        graph = helper.make_graph(self._nodes, "graph", ends[:1], ends[1:], self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
        model.ir_version = 9
        return model
