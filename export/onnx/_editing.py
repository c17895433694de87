"""Reading an exported graph, and insertion of new nodes and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import onnx_ir
from numpy.typing import NDArray


def inputs_of(node: onnx_ir.Node) -> list[onnx_ir.Value]:
    """Return the inputs that are there; some operators may go without one."""
    return [value for value in node.inputs if value is not None]


def producer_of(value: onnx_ir.Value) -> onnx_ir.Node:
    """Return the node that computes a value."""
    return cast(onnx_ir.Node, value.producer())


def array_of(value: onnx_ir.Value) -> NDArray[Any]:
    """Return the values of a constant."""
    return cast(onnx_ir.TensorProtocol, value.const_value).numpy()


def shape_of(value: onnx_ir.Value) -> list[int]:
    """Return the sizes of the axes, 0 for the batch's."""
    return [axis if isinstance(axis, int) else 0 for axis in cast(onnx_ir.Shape, value.shape)]


def has_attributes(node: onnx_ir.Node, **expected: Any) -> bool:
    """Return whether a node states these values; one that leaves them to the operator's defaults does not."""
    return all(name in node.attributes and node.attributes[name].value == expected[name] for name in expected)


def constant(graph: onnx_ir.Graph, name: str, values: NDArray[Any]) -> onnx_ir.Value:
    """Return the graph's constant of this name; it gets ``values`` where there is none yet."""
    if name in graph.initializers:
        return graph.initializers[name]
    return new_constant(graph, name, values)


def new_constant(graph: onnx_ir.Graph, name: str, values: NDArray[Any]) -> onnx_ir.Value:
    """Give the graph a constant and return it; raise ValueError if it has another one of this name."""
    tensor = onnx_ir.tensor(np.asarray(values, order="C"), name=name)
    value = onnx_ir.Value(name=name, const_value=tensor)
    graph.register_initializer(value)
    return value


def named_node(
    operator: str,
    name: str,
    inputs: Sequence[onnx_ir.Value],
    attributes: Mapping[str, Any] = MappingProxyType({}),
    data_type: onnx_ir.DataType = onnx_ir.DataType.FLOAT,
) -> onnx_ir.Node:
    """Return a node that is in no graph yet; its output has its name and the type."""
    output = onnx_ir.Value(name=name, type=onnx_ir.TensorType(data_type))
    return onnx_ir.node(operator, inputs, attributes, name=name, outputs=[output])


def insert_behind(graph: onnx_ir.Graph, value: onnx_ir.Value, node: onnx_ir.Node) -> onnx_ir.Value:
    """Put a node right behind the one that computes a value, or first, and return its output."""
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], node)
    else:
        graph.insert_after(producer, node)
    return node.outputs[0]


class Insertion:
    """float32 nodes put behind a node of the graph, in the order of the calls, and named after it."""

    def __init__(self, graph: onnx_ir.Graph, behind: onnx_ir.Node, block: str = "") -> None:
        """Begin behind a node; its block is that of the new nodes unless another is given."""
        self._graph = graph
        self._last = behind
        self._prefix = f"{block}/{behind.name}" if block else str(behind.name)
        self._count = 0

    def __call__(
        self, operator: str, *inputs: onnx_ir.Value | NDArray[Any], **attributes: Any
    ) -> onnx_ir.Value:
        """Insert a node and return its output; arrays among the inputs become constants."""
        values = [self._constant(one) if isinstance(one, np.ndarray) else one for one in inputs]
        node = named_node(operator, self._name(operator), values, attributes)
        self._graph.insert_after(self._last, node)
        self._last = node
        return node.outputs[0]

    def _constant(self, values: NDArray[Any]) -> onnx_ir.Value:
        return new_constant(self._graph, self._name("constant"), values)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}.{kind}{self._count}"
