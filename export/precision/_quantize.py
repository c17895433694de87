"""Q/DQ pairs: a block in int8 or fp8 quantizes its convolutions.

Their inputs are quantized per tensor, their weights per output channel. What only moves values in such a
block, as concatenations and upsamplings do, takes and gives quantized tensors too, so that a runtime keeps
the whole path in 8 bits. Matrix products, which are the head's and 0.3% of all multiplications, are left to
other precisions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto
from onnx.helper import make_node

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._graph import GraphEditor, Layer
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
    graph: GraphProto,
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
    scales: dict[str, Scale] = {}
    for group in groups.groups:
        scales.update(dict.fromkeys(group, _scale(groups.origins(group), ranges, activations)))
    quantizer = _Quantizer(graph, precision)
    for layer in quantized_layers(graph, blocks):
        quantizer.quantize_parameters(
            layer, weights, scales[layer.activation] if activations is UINT8 else None
        )
        quantizer.quantize_inputs(layer.node, [1 - layer.weight], scales)
    for node in graph.node:
        if node.output[0] in scales:
            quantizer.quantize_inputs(node, range(len(groups.moved_inputs(node))), scales)
    quantizer.commit()


def _scale(origins: list[str], ranges: Mapping[str, tuple[float, float]], number: Number) -> Scale:
    for tensor in origins:
        if tensor not in ranges:
            raise ExportError(f"no range was measured for tensor {tensor!r}; calibrate on this graph")
    lows, highs = zip(*(ranges[tensor] for tensor in origins), strict=True)
    try:
        return activation_scale(min(lows), max(highs), number)
    except ExportError as error:
        raise ExportError(f"{', '.join(origins)}: {error}") from error


class _Quantizer(GraphEditor):
    """Editor that inserts Q/DQ pairs, one per tensor."""

    def __init__(self, graph: GraphProto, precision: str) -> None:
        super().__init__(graph)
        self._precision = precision
        self._pairs: dict[str, str] = {}

    def quantize_inputs(self, node: NodeProto, indices: Sequence[int], scales: Mapping[str, Scale]) -> None:
        """Let a node read some of its inputs through their pairs."""
        for index in indices:
            tensor = node.input[index]
            if tensor not in self._pairs:
                self._pairs[tensor] = self._pair(tensor, scales[tensor], block_of(node.name))
            node.input[index] = self._pairs[tensor]

    def quantize_parameters(self, layer: Layer, number: Number, activation: Scale | None) -> None:
        """Store a layer's weight in 8 bits, and its bias in 32 if the scale of its activation is given.

        With a float bias ONNX Runtime 1.19 (Triton 24.10) would run no layer in 8 bits.
        """
        node = layer.node
        name = node.input[layer.weight]
        weight = self.constant(name)
        try:
            scale = weight_scale(weight, number)
        except ExportError as error:
            raise ExportError(f"{name}: {error}") from error
        node.input[layer.weight] = self._parameter(node, name, quantize(weight, scale), scale)
        if activation is not None and len(node.input) == 3:
            name = node.input[2]
            accumulator = bias_scale(activation, scale)
            values = quantize(self.constant(name), accumulator)
            node.input[2] = self._parameter(node, name, values, accumulator)

    def _pair(self, tensor: str, scale: Scale, block: str) -> str:
        name = f"{tensor}.{self._precision}"
        constants = self._constants_of(scale, name)
        quantized = make_node("QuantizeLinear", [tensor, *constants], [name], f"{block}/{name}")
        floats = f"{name}.float"
        restored = make_node("DequantizeLinear", [name, *constants], [floats], f"{block}/{floats}")
        return self.insert_behind(self.insert_behind(tensor, quantized), restored)

    def _parameter(self, node: NodeProto, tensor: str, values: NDArray[np.generic], scale: Scale) -> str:
        name = self.add_constant(f"{tensor}.{self._precision}", values)
        constants = self._constants_of(scale, name)
        block, floats = block_of(node.name), f"{name}.float"
        restored = make_node("DequantizeLinear", [name, *constants], [floats], f"{block}/{floats}", axis=0)
        return self.insert_before(node, restored)

    def _constants_of(self, scale: Scale, name: str) -> list[str]:
        return [
            self.add_constant(f"{name}.scale", scale.scale),
            self.add_constant(f"{name}.zero_point", scale.zero_point),
        ]
