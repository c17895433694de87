"""Blocks in float16 or bfloat16: their constants converted, and casts where they meet other blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._editing import array_of, constant, insert_behind, named_node
from lnlattennet.export.onnx._naming import block_of

_ONNX_TYPES = {
    "fp32": onnx_ir.DataType.FLOAT,
    "fp16": onnx_ir.DataType.FLOAT16,
    "bf16": onnx_ir.DataType.BFLOAT16,
}
_DTYPES: dict[str, np.dtype[Any]] = {
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
}
HALVES = tuple(_DTYPES)
"""The precisions of 16 bits."""

_LARGEST_FP16 = float(np.finfo(np.float16).max)

_ALWAYS_FLOAT32 = {("Resize", 2)}
"""Inputs whose type the operator fixes: the factors of an upsampling."""


def cast_blocks(graph: onnx_ir.Graph, precisions: Mapping[str, str]) -> None:
    """Let blocks compute in 16 bits; the graph's inputs and outputs stay float32.

    Args:
        graph: changed in place, but for the types noted in it; float32, its nodes named after their blocks,
            and no output read by a node.
        precisions: block -> "fp16" or "bf16"; all other blocks stay as they are.

    Raises:
        ExportError: a constant lies beyond float16's range.
    """
    caster = _Caster(graph, precisions)
    for node in list(graph):
        caster.cast_inputs(node)
        caster.cast_outputs(node)


class _Caster:
    """Converts a graph node by node, in order; each value is cast once per type."""

    def __init__(self, graph: onnx_ir.Graph, precisions: Mapping[str, str]) -> None:
        self._graph, self._precisions = graph, precisions
        self._made_in = dict.fromkeys(graph.inputs, "fp32")
        self._versions: dict[tuple[onnx_ir.Value, str], onnx_ir.Value] = {}

    def cast_inputs(self, node: onnx_ir.Node) -> None:
        """Let a node read every float in its block's precision."""
        for index, value in enumerate(node.inputs):
            if value is not None and _is_float(value) and (node.op_type, index) not in _ALWAYS_FLOAT32:
                node.replace_input_with(index, self._in_precision(value, node))

    def cast_outputs(self, node: onnx_ir.Node) -> None:
        """Note the type of what a node gives; an output of the graph keeps its name and float32."""
        precision = self._precision_of(node)
        for value in node.outputs:
            self._made_in[value] = precision
            if value.is_graph_output() and precision != "fp32":
                name, value.name = value.name, f"{value.name}.{precision}"
                output = self._cast(value, "fp32", node)
                output.name, output.shape = name, value.shape
                self._graph.outputs[self._graph.outputs.index(value)] = output

    def _precision_of(self, node: onnx_ir.Node) -> str:
        return self._precisions.get(block_of(str(node.name)), "fp32")

    def _in_precision(self, value: onnx_ir.Value, reader: onnx_ir.Node) -> onnx_ir.Value:
        precision = self._precision_of(reader)
        if precision == self._made_in.get(value, "fp32"):
            return value
        if (value, precision) not in self._versions:
            self._versions[value, precision] = (
                constant(self._graph, f"{value.name}.{precision}", _converted(value, precision))
                if value.is_initializer()
                else self._cast(value, precision, reader)
            )
        return self._versions[value, precision]

    def _cast(self, value: onnx_ir.Value, precision: str, reader: onnx_ir.Node) -> onnx_ir.Value:
        name = f"{block_of(str(reader.name))}/{value.name}.{precision}"
        data_type = _ONNX_TYPES[precision]
        cast = named_node("Cast", name, [value], {"to": data_type}, data_type)
        return insert_behind(self._graph, value, cast)


def _is_float(value: onnx_ir.Value) -> bool:
    return value.dtype == onnx_ir.DataType.FLOAT


def _converted(value: onnx_ir.Value, precision: str) -> NDArray[Any]:
    values = array_of(value)
    largest = float(np.abs(values).max(initial=0))
    if precision == "fp16" and largest > _LARGEST_FP16:
        raise ExportError(
            f"constant {value.name} holds {largest:g}, but float16 ends at {_LARGEST_FP16:g}; "
            "choose bf16 or fp32 for its block"
        )
    return values.astype(_DTYPES[precision])
