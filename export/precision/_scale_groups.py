"""Groups of tensors that share a scale: what only moves values joins them, and so runs in 8 bits."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir

from lnlattennet.export.onnx._editing import inputs_of
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._layers import Layer, layers

_LAYOUT = ("Transpose", "Reshape")

_JOINING = {"Concat": None, "Resize": 1, **dict.fromkeys(_LAYOUT, 1)}
"""Operators that only move values, and how many of their inputs hold such (None: all)."""


def quantized_layers(graph: onnx_ir.Graph, blocks: Collection[str]) -> list[Layer]:
    """Return the layers that become 8-bit where ``blocks`` do: their convolutions."""
    return [layer for layer in layers(graph) if layer.block in blocks and layer.node.op_type == "Conv"]


def measured_tensors(graph: onnx_ir.Graph) -> list[str]:
    """Return the names of the tensors whose ranges decide every scale, in whatever blocks are quantized."""
    groups = ScaleGroups(graph, {block_of(str(node.name)) for node in graph})
    return [str(tensor.name) for group in groups.groups for tensor in groups.origins(group)]


def closed_layers(graph: onnx_ir.Graph, blocks: Collection[str]) -> set[str]:
    """Return the names of the 8-bit layers whose result is read in 8 bits only.

    Every runtime can run those in 8 bits. The others, on the border to a float block, ONNX Runtime computes
    in float32 with the rounded numbers; OpenVINO runs them in 8 bits too.
    """
    chosen = [layer.node for layer in quantized_layers(graph, blocks)]
    groups = ScaleGroups(graph, blocks)
    quantized = {tensor for group in groups.groups for tensor in group}

    def is_closed(result: onnx_ir.Value) -> bool:
        return bool(result.consumers()) and all(
            is_closed(node.outputs[0])
            if node.op_type == "Relu"
            else node in chosen or (node.outputs[0] in quantized and groups.moved_inputs(node))
            for node in result.consumers()
        )

    return {str(node.name) for node in chosen if is_closed(node.outputs[0])}


class ScaleGroups:
    """The tensors that the 8-bit layers of some blocks read, and what those are joined from.

    Attributes:
        groups: the tensors, those that must share a scale together.
    """

    def __init__(self, graph: onnx_ir.Graph, blocks: Collection[str]) -> None:
        self._blocks = blocks
        self.groups = self._grouped([layer.activation for layer in quantized_layers(graph, blocks)])

    def moved_inputs(self, node: onnx_ir.Node | None) -> list[onnx_ir.Value]:
        """Return the inputs that a joining node of these blocks moves to its output, none of another node."""
        if node is None or node.op_type not in _JOINING or block_of(str(node.name)) not in self._blocks:
            return []
        return inputs_of(node)[: _JOINING[node.op_type]]

    def origins(self, group: list[onnx_ir.Value]) -> list[onnx_ir.Value]:
        """Return the computed tensors that a group's values come from: their ranges cover the group's."""
        joined = [tensor for tensor in group if not self.moved_inputs(tensor.producer())]
        return list(dict.fromkeys(_before_layout(tensor) for tensor in joined))

    def _grouped(self, tensors: list[onnx_ir.Value]) -> list[list[onnx_ir.Value]]:
        groups: dict[onnx_ir.Value, list[onnx_ir.Value]] = {}
        waiting = list(tensors)
        for tensor in waiting:
            groups.setdefault(tensor, [tensor])
            for source in self.moved_inputs(tensor.producer()):
                waiting.append(source)
                mine, other = groups[tensor], groups.setdefault(source, [source])
                if mine is not other:
                    mine.extend(other)
                    groups.update(dict.fromkeys(other, mine))
        return list({id(group): group for group in groups.values()}.values())


def _before_layout(tensor: onnx_ir.Value) -> onnx_ir.Value:
    """Return the tensor of the same values before they were laid out otherwise, in whatever block."""
    node = tensor.producer()
    return _before_layout(inputs_of(node)[0]) if node and node.op_type in _LAYOUT else tensor
