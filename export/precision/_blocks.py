"""The exported graph's nodes by block of the network, and the layers whose precision a plan chooses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import GraphProto, NodeProto

_LAYERS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class Layer:
    """A convolution or a matrix product with one constant factor.

    Attributes:
        node: the node.
        weight: index of the constant factor among the node's inputs; the other factor is the activation.
    """

    node: NodeProto
    weight: int

    @property
    def block(self) -> str:
        """The block that it belongs to."""
        return block_of(self.node.name)

    @property
    def activation(self) -> str:
        """Name of the factor that depends on the image."""
        return str(self.node.input[1 - self.weight])


def block_of(node_name: str) -> str:
    """Return the block of a node that is named ``BLOCK/OPERATOR_INDEX``."""
    return node_name.partition("/")[0]


def layers(graph: GraphProto) -> Iterator[Layer]:
    """Give the graph's layers in order; products of two activations (in the attention) are none."""
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in _LAYERS:
            constant = [index for index in (0, 1) if node.input[index] in constants]
            if len(constant) == 1:
                yield Layer(node, constant[0])
