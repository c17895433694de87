"""Groups of tensors that share a scale: what only moves values joins them, and so runs in 8 bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from onnx import GraphProto, NodeProto

from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._graph import Layer, layers

_LAYOUT = ("Transpose", "Reshape")

_JOINING = {"Concat": None, "Resize": 1, **dict.fromkeys(_LAYOUT, 1)}
"""Operators that only move values, and how many of their inputs hold such (None: all)."""


def quantized_layers(graph: GraphProto, blocks: Collection[str]) -> list[Layer]:
    """Return the layers that become 8-bit where ``blocks`` do: their convolutions."""
    return [layer for layer in layers(graph) if layer.block in blocks and layer.node.op_type == "Conv"]


def measured_tensors(graph: GraphProto) -> list[str]:
    """Return the tensors whose ranges decide every scale, in whatever blocks are quantized."""
    groups = ScaleGroups(graph, {block_of(node.name) for node in graph.node})
    return [tensor for group in groups.groups for tensor in groups.origins(group)]


def closed_layers(graph: GraphProto, blocks: Collection[str]) -> set[str]:
    """Return the names of the 8-bit layers whose result is read in 8 bits only.

    Every runtime can run those in 8 bits. The others, on the border to a float block, ONNX Runtime computes
    in float32 with the rounded numbers; OpenVINO runs them in 8 bits too.
    """
    chosen = {layer.node.name: layer for layer in quantized_layers(graph, blocks)}
    groups = ScaleGroups(graph, blocks)
    quantized = {tensor for group in groups.groups for tensor in group}
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for value in node.input:
            readers[value].append(node)

    def is_closed(result: str) -> bool:
        return bool(readers[result]) and all(
            is_closed(node.output[0])
            if node.op_type == "Relu"
            else node.name in chosen or (node.output[0] in quantized and groups.moved_inputs(node))
            for node in readers[result]
        )

    return {name for name, layer in chosen.items() if is_closed(layer.node.output[0])}


class ScaleGroups:
    """The tensors that the 8-bit layers of some blocks read, and what those are joined from.

    Attributes:
        groups: the tensors, those that must share a scale together.
    """

    def __init__(self, graph: GraphProto, blocks: Collection[str]) -> None:
        self._blocks = blocks
        self._producer = {value: node for node in graph.node for value in node.output}
        self.groups = self._grouped([layer.activation for layer in quantized_layers(graph, blocks)])

    def moved_inputs(self, node: NodeProto | None) -> list[str]:
        """Return the inputs that a joining node of these blocks moves to its output, none of another node."""
        if node is None or node.op_type not in _JOINING or block_of(node.name) not in self._blocks:
            return []
        return list(node.input[: _JOINING[node.op_type]])

    def origins(self, group: list[str]) -> list[str]:
        """Return the computed tensors that a group's values come from: their ranges cover the group's."""
        joined = [tensor for tensor in group if not self.moved_inputs(self._producer.get(tensor))]
        return list(dict.fromkeys(self._before_layout(tensor) for tensor in joined))

    def _before_layout(self, tensor: str) -> str:
        """Return the tensor of the same values before they were laid out otherwise, in whatever block."""
        node = self._producer.get(tensor)
        return self._before_layout(node.input[0]) if node and node.op_type in _LAYOUT else tensor

    def _grouped(self, tensors: list[str]) -> list[list[str]]:
        groups: dict[str, list[str]] = {}
        waiting = list(tensors)
        for tensor in waiting:
            groups.setdefault(tensor, [tensor])
            for source in self.moved_inputs(self._producer.get(tensor)):
                waiting.append(source)
                mine, other = groups[tensor], groups.setdefault(source, [source])
                if mine is not other:
                    mine.extend(other)
                    groups.update(dict.fromkeys(other, mine))
        return list({id(group): group for group in groups.values()}.values())
