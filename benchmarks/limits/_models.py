"""ONNX models of nothing but convolutions: what a runtime reaches in a precision when it runs an engine."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnxscript import optimizer

from lnlattennet.benchmarks.limits._entries import Layer
from lnlattennet.export.precision._quantize import quantize_blocks
from lnlattennet.model._io_spec import INPUT_NAME

MATRIX = 1024
_SIDE = 32
_BATCH = 8
_PAIRS = 3
_BLOCK = "unet.stem"
"""Any block that may be quantized."""


@dataclass(frozen=True)
class Chain:
    """Convolutions one after the other, each followed by a ReLU.

    Attributes:
        input_shape: [batch, channels, height, width].
        weight_shapes: [outputs, inputs, height, width] of each; the resolution stays.
    """

    input_shape: tuple[int, ...]
    weight_shapes: tuple[tuple[int, ...], ...]

    @property
    def flops(self) -> int:
        """Return the operations of a call; a multiply-add is two."""
        positions = self.input_shape[0] * prod(self.input_shape[2:])
        return 2 * positions * sum(prod(shape) for shape in self.weight_shapes)


def matrix_product() -> Chain:
    """Return a product of two square matrices of ``MATRIX`` rows, which is a convolution of single pixels."""
    return Chain((1, MATRIX, _SIDE, MATRIX // _SIDE), ((MATRIX, MATRIX, 1, 1),))


def convolutions(layer: Layer) -> Chain:
    """Return a layer's convolution and the one back to its input's channels, in turn.

    Float images enter and leave the chain once, so what that costs hardly counts.
    """
    outputs, inputs, *kernel = layer.weight_shape
    pair = (layer.weight_shape, (inputs, outputs, *kernel))
    return Chain((_BATCH, *layer.input_shape), pair * _PAIRS)


def onnx_model(chain: Chain, precision: str) -> ModelProto:
    """Return the chain in "fp32", or in "int8" as an export quantizes it, with random weights."""
    generator = np.random.default_rng(0)
    nodes, constants, value, ranges = [], [], INPUT_NAME, {INPUT_NAME: (-1.0, 1.0)}
    for index, shape in enumerate(chain.weight_shapes):
        weight, product, output = (f"{_BLOCK}/{kind}_{index}" for kind in ("weight", "Conv", "Relu"))
        values = generator.normal(0, np.sqrt(2 / prod(shape[1:])), shape)
        constants.append(numpy_helper.from_array(values.astype(np.float32), weight))
        pads = [shape[2] // 2, shape[3] // 2] * 2
        nodes.append(make_node("Conv", [value, weight], [product], product, pads=pads))
        nodes.append(make_node("Relu", [product], [output], output))
        value, ranges[output] = output, (0.0, 4.0)
    image = make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, chain.input_shape)
    shape = (chain.input_shape[0], chain.weight_shapes[-1][0], *chain.input_shape[2:])
    result = make_tensor_value_info(value, TensorProto.FLOAT, shape)
    graph = make_graph(nodes, "chain", [image], [result], constants)
    model = make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=8)
    return model if precision == "fp32" else _quantized(model, ranges)


def _quantized(model: ModelProto, ranges: dict[str, tuple[float, float]]) -> ModelProto:
    quantized = onnx_ir.from_proto(model)
    quantize_blocks(quantized.graph, [_BLOCK], ranges, "int8", symmetric=False)
    optimizer.remove_unused_nodes(quantized)
    return onnx_ir.to_proto(quantized)
