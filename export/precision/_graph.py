"""Reading and editing of an exported graph: its layers, and insertions in topological order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from lnlattennet.export.onnx._naming import block_of

_LAYERS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class Layer:
    """Convolution or matrix product with one constant factor.

    Attributes:
        node: node of the graph.
        weight: index of the constant factor among the node's inputs; the other factor is the activation.
    """

    node: NodeProto
    weight: int

    @property
    def block(self) -> str:
        """Name of its block."""
        return block_of(self.node.name)

    @property
    def activation(self) -> str:
        """Name of the factor that depends on the image."""
        return str(self.node.input[1 - self.weight])


def layers(graph: GraphProto) -> Iterator[Layer]:
    """Yield the graph's layers in order; a product of two activations (in the attention) is not one."""
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in _LAYERS:
            constant = [index for index in (0, 1) if node.input[index] in constants]
            if len(constant) == 1:
                yield Layer(node, constant[0])


class GraphEditor:
    """Editor that collects new nodes and constants; ``commit`` puts them into the graph.

    Inputs and outputs of the graph's own nodes are changed directly.
    """

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self._before: dict[str, list[NodeProto]] = defaultdict(list)
        self._behind: dict[str, list[NodeProto]] = defaultdict(list)

    def constant(self, name: str) -> NDArray[Any]:
        """Return a constant's values."""
        return numpy_helper.to_array(self._constants[name])

    def is_constant(self, name: str) -> bool:
        """Return whether ``name`` is a constant of the graph, or one that was added."""
        return name in self._constants

    def add_constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant unless there is one of this name, and return the name."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def insert_before(self, node: NodeProto, new: NodeProto) -> str:
        """Put ``new`` right before ``node`` and return its output."""
        self._before[node.name].append(new)
        return str(new.output[0])

    def insert_behind(self, value: str, new: NodeProto) -> str:
        """Put ``new`` right behind the node that gives ``value``, and return its output."""
        self._behind[value].append(new)
        return str(new.output[0])

    def commit(self) -> None:
        """Write the collected nodes and constants into the graph, without constants that nothing reads."""
        nodes: list[NodeProto] = []
        for value in self._graph.input:
            self._place_behind(value.name, nodes)
        for node in self._graph.node:
            nodes += self._before[node.name]
            self._place(node, nodes)
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        used = {value for node in nodes for value in node.input}
        del self._graph.initializer[:]
        self._graph.initializer.extend(tensor for name, tensor in self._constants.items() if name in used)

    def _place(self, node: NodeProto, nodes: list[NodeProto]) -> None:
        nodes.append(node)
        for value in node.output:
            self._place_behind(value, nodes)

    def _place_behind(self, value: str, nodes: list[NodeProto]) -> None:
        for new in self._behind[value]:
            self._place(new, nodes)
