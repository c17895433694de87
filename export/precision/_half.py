"""Blocks in float16 or bfloat16: their constants converted, and casts where they meet other blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, shape_inference
from onnx.helper import make_node

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._naming import block_of
from lnlattennet.export.precision._graph import GraphEditor

_ONNX_TYPES = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_DTYPES: dict[str, np.dtype[Any]] = {
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
}
HALVES = tuple(_DTYPES)
"""The precisions of 16 bits."""

_LARGEST_FP16 = float(np.finfo(np.float16).max)

_ALWAYS_FLOAT32 = {("Resize", 2)}
"""Inputs whose type the operator fixes: the factors of an upsampling."""


def cast_blocks(model: ModelProto, precisions: Mapping[str, str]) -> None:
    """Let blocks compute in 16 bits; the graph's inputs and outputs stay float32.

    Args:
        model: changed in place; float32, its nodes named after their blocks.
        precisions: block -> "fp16" or "bf16"; all other blocks stay as they are.

    Raises:
        ExportError: a constant lies beyond float16's range.
    """
    editor = _Caster(model.graph, _float_values(model), precisions)
    for node in model.graph.node:
        editor.cast_inputs(node)
        editor.cast_outputs(node)
    editor.commit()


def _float_values(model: ModelProto) -> set[str]:
    graph = shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return floats | {item.name for item in graph.initializer if item.data_type == TensorProto.FLOAT}


class _Caster(GraphEditor):
    """Editor that converts a graph node by node, in order; each value is cast once per type."""

    def __init__(self, graph: GraphProto, floats: set[str], precisions: Mapping[str, str]) -> None:
        super().__init__(graph)
        self._floats, self._precisions = floats, precisions
        self._outputs = {value.name for value in graph.output}
        self._made_in = {value.name: "fp32" for value in graph.input}
        self._versions: dict[tuple[str, str], str] = {}

    def cast_inputs(self, node: NodeProto) -> None:
        """Let a node read every float in its block's precision."""
        precision = self._precision_of(node)
        for index, value in enumerate(node.input):
            if value in self._floats and (node.op_type, index) not in _ALWAYS_FLOAT32:
                node.input[index] = self._in_precision(value, precision, node)

    def cast_outputs(self, node: NodeProto) -> None:
        """Note the type of what a node gives; an output of the graph keeps its name and float32."""
        precision = self._precision_of(node)
        for index, value in enumerate(node.output):
            self._made_in[value] = precision
            if value in self._outputs and precision != "fp32":
                half = self._versions[value, precision] = node.output[index] = f"{value}.{precision}"
                self._cast(half, value, "fp32", node)
                self._made_in[value] = "fp32"

    def _precision_of(self, node: NodeProto) -> str:
        return self._precisions.get(block_of(node.name), "fp32")

    def _in_precision(self, value: str, precision: str, reader: NodeProto) -> str:
        made_in = "fp32" if self.is_constant(value) else self._made_in[value]
        if precision == made_in:
            return value
        if (value, precision) not in self._versions:
            self._versions[value, precision] = (
                self.add_constant(f"{value}.{precision}", _converted(self.constant(value), value, precision))
                if self.is_constant(value)
                else self._cast(value, f"{value}.{precision}", precision, reader)
            )
        return self._versions[value, precision]

    def _cast(self, value: str, result: str, precision: str, reader: NodeProto) -> str:
        name = f"{block_of(reader.name)}/{result}"
        return self.insert_behind(
            value, make_node("Cast", [value], [result], name, to=_ONNX_TYPES[precision])
        )


def _converted(values: NDArray[Any], name: str, precision: str) -> NDArray[Any]:
    largest = float(np.abs(values).max(initial=0))
    if precision == "fp16" and largest > _LARGEST_FP16:
        raise ExportError(
            f"constant {name} holds {largest:g}, but float16 ends at {_LARGEST_FP16:g}; "
            "choose bf16 or fp32 for its block"
        )
    return values.astype(_DTYPES[precision])
