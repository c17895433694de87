"""The layers of an exported graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir

from lnlattennet.export.onnx._editing import inputs_of
from lnlattennet.export.onnx._naming import block_of

_LAYERS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class Layer:
    """Convolution or matrix product with one constant factor.

    Attributes:
        node: node of the graph.
        weight: index of the constant factor among the node's inputs; the other factor is the activation.
    """

    node: onnx_ir.Node
    weight: int

    @property
    def block(self) -> str:
        """Name of its block."""
        return block_of(str(self.node.name))

    @property
    def activation(self) -> onnx_ir.Value:
        """The factor that depends on the image."""
        return inputs_of(self.node)[1 - self.weight]


def layers(graph: onnx_ir.Graph) -> Iterator[Layer]:
    """Yield the graph's layers in order; a product of two activations (in the attention) is not one."""
    for node in graph:
        if node.op_type in _LAYERS:
            factors = inputs_of(node)[:2]
            constant = [index for index, factor in enumerate(factors) if factor.is_initializer()]
            if len(constant) == 1:
                yield Layer(node, constant[0])
