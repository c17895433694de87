"""Q/DQ pairs: a block in int8 or fp8 quantizes its convolutions.

Their inputs are quantized per tensor, their weights per output channel. What only moves values in such a
block, as concatenations and upsamplings do, takes and gives quantized tensors too, so that a runtime keeps
the whole path in 8 bits. Matrix products, which are the head's and 0.3% of all multiplications, are left to
other precisions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._editing import array_of, constant, inputs_of, insert_behind, named_node
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._layers import Layer
from lnlattennet.export.precision._scale_groups import ScaleGroups, quantized_layers
from lnlattennet.export.precision._scales import (
    FP8,
    INT8,
    UINT8,
    Number,
    Scale,
    activation_scale,
    bias_scale,
    quantize,
    weight_scale,
)


def quantize_blocks(
    graph: onnx_ir.Graph,
    blocks: Collection[str],
    ranges: Mapping[str, tuple[float, float]],
    precision: str,
    *,
    symmetric: bool,
) -> None:
    """Insert Q/DQ pairs before the layers of some blocks, and store the layers' weights in 8 bits.

    Args:
        graph: changed in place; float32, its nodes named after their blocks.
        blocks: names of the blocks to quantize.
        ranges: smallest and largest value of every tensor of ``measured_tensors``.
        precision: "int8" or "fp8".
        symmetric: int8 activations without zero points, and biases in float32, as TensorRT demands; fp8 is
            always symmetric.

    Raises:
        ExportError: a tensor that becomes 8-bit has no range, or a weight is not finite.
    """
    weights = FP8 if precision == "fp8" else INT8
    activations = weights if precision == "fp8" or symmetric else UINT8
    groups = ScaleGroups(graph, blocks)
    scales: dict[onnx_ir.Value, Scale] = {}
    for group in groups.groups:
        scales.update(dict.fromkeys(group, _scale(groups.origins(group), ranges, activations)))
    quantizer = _Quantizer(graph, precision)
    for layer in quantized_layers(graph, blocks):
        activation = layer.activation
        quantizer.quantize_parameters(layer, weights, scales[activation] if activations is UINT8 else None)
        quantizer.quantize_input(layer.node, activation, scales[activation])
    for node in graph:
        if node.outputs[0] in scales:
            for tensor in groups.moved_inputs(node):
                quantizer.quantize_input(node, tensor, scales[tensor])


def _scale(origins: list[onnx_ir.Value], ranges: Mapping[str, tuple[float, float]], number: Number) -> Scale:
    names = [str(tensor.name) for tensor in origins]
    for name in names:
        if name not in ranges:
            raise ExportError(f"no range was measured for tensor {name!r}; calibrate on this graph")
    lows, highs = zip(*(ranges[name] for name in names), strict=True)
    try:
        return activation_scale(min(lows), max(highs), number)
    except ExportError as error:
        raise ExportError(f"{', '.join(names)}: {error}") from error


class _Quantizer:
    """Inserts Q/DQ pairs, one per tensor."""

    def __init__(self, graph: onnx_ir.Graph, precision: str) -> None:
        self._graph = graph
        self._precision = precision
        self._pairs: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def quantize_input(self, node: onnx_ir.Node, tensor: onnx_ir.Value, scale: Scale) -> None:
        """Let a node read one of its inputs through the tensor's pair."""
        if tensor not in self._pairs:
            self._pairs[tensor] = self._pair(tensor, scale, block_of(str(node.name)))
        node.replace_input_with(node.inputs.index(tensor), self._pairs[tensor])

    def quantize_parameters(self, layer: Layer, number: Number, activation: Scale | None) -> None:
        """Store a layer's weight in 8 bits, and its bias in 32 if the scale of its activation is given.

        With a float bias ONNX Runtime 1.19 (Triton 24.10) would run no layer in 8 bits.
        """
        node = layer.node
        weight, *others = inputs_of(node)[layer.weight :]
        bias = array_of(others[0]) if others else None
        try:
            scale = weight_scale(array_of(weight), number, bias, activation)
        except ExportError as error:
            raise ExportError(f"{weight.name}: {error}") from error
        self._store(node, layer.weight, quantize(array_of(weight), scale), scale)
        if activation is not None and bias is not None:
            accumulator = bias_scale(activation, scale)
            self._store(node, 2, quantize(bias, accumulator), accumulator)

    def _store(self, node: onnx_ir.Node, index: int, values: NDArray[np.generic], scale: Scale) -> None:
        """Let a node read quantized values in the place of a constant."""
        name = f"{inputs_of(node)[index].name}.{self._precision}"
        stored = [constant(self._graph, name, values), *self._constants_of(scale, name)]
        name = f"{block_of(str(node.name))}/{name}.float"
        restored = named_node("DequantizeLinear", name, stored, {"axis": 0})
        self._graph.insert_before(node, restored)
        node.replace_input_with(index, restored.outputs[0])

    def _pair(self, tensor: onnx_ir.Value, scale: Scale, block: str) -> onnx_ir.Value:
        name = f"{tensor.name}.{self._precision}"
        constants = self._constants_of(scale, name)
        name, data_type = f"{block}/{name}", onnx_ir.DataType.from_numpy(scale.number.dtype)
        quantized = named_node("QuantizeLinear", name, [tensor, *constants], data_type=data_type)
        value = insert_behind(self._graph, tensor, quantized)
        restored = named_node("DequantizeLinear", f"{name}.float", [value, *constants])
        return insert_behind(self._graph, value, restored)

    def _constants_of(self, scale: Scale, name: str) -> list[onnx_ir.Value]:
        return [
            constant(self._graph, f"{name}.scale", scale.scale),
            constant(self._graph, f"{name}.zero_point", scale.zero_point),
        ]
