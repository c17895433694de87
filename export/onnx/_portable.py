"""What other ONNX tools need of a graph: outputs that no node reads, and the shape of every value."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TypeProto, numpy_helper, shape_inference
from onnx.helper import make_node, make_tensor_type_proto, make_value_info

from lnlattennet.export.onnx._naming import block_of

BATCH = "batch"
"""Name of the axis of the images, in every value."""

_TWO_SIZES = (2, 3)


def separate_outputs(graph: GraphProto) -> None:
    """Give the graph's outputs by nodes of their own where other nodes read them.

    Converters to float16 change the type of an output that keeps float32 outside, and leave its other readers
    with two types. The new nodes reshape to the shape that is there: onnx has no conversion of Identity to
    opset 15.

    Args:
        graph: changed in place; its outputs have shapes. The new nodes are of the block of what they pass on.
    """
    read = {value for node in graph.node for value in node.input}
    shared = {value.name: value.type for value in graph.output if value.name in read}
    nodes: list[NodeProto] = []
    for node in graph.node:
        given = [value for value in node.output if value in shared]
        for values in (node.input, node.output):
            values[:] = [_inner(value) if value in shared else value for value in values]
        nodes.append(node)
        for value in given:
            sizes = [axis.dim_value for axis in shared[value].tensor_type.shape.dim]
            shape = numpy_helper.from_array(np.array([-1, *sizes[1:]], np.int64), f"{value}.shape")
            graph.initializer.append(shape)
            block = block_of(node.name)
            reshape = make_node("Reshape", [_inner(value), shape.name], [value], f"{block}/{value}")
            reshape.metadata_props.extend(node.metadata_props)
            nodes.append(reshape)
    del graph.node[:]
    graph.node.extend(nodes)


def note_shapes(model: ModelProto) -> None:
    """Write type and shape of every value between inputs and outputs into the file.

    Tools that infer them alone lose the name of the batch axis at every upsampling and reshaping, and take it
    for another axis from there on.
    """
    del model.graph.value_info[:]
    first, second = (_types(model, size) for size in _TWO_SIZES)
    inner = {value for node in model.graph.node for value in node.output}
    inner -= {"", *(value.name for value in model.graph.output)}
    model.graph.value_info.extend(
        make_value_info(name, _named(first[name], second[name])) for name in first if name in inner
    )


def _inner(output: str) -> str:
    return f"{output}.inner"


def _types(model: ModelProto, batch: int) -> dict[str, TypeProto]:
    """Return the type of every value for one batch size."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in [*fixed.graph.input, *fixed.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    graph = shape_inference.infer_shapes(fixed, strict_mode=True).graph
    return {value.name: value.type for value in graph.value_info}


def _named(first: TypeProto, second: TypeProto) -> TypeProto:
    """Return the type whose axes are those that two batch sizes have in common, and the batch axis."""
    axes: list[int | str | None] = []
    for one, other in zip(first.tensor_type.shape.dim, second.tensor_type.shape.dim, strict=True):
        sizes = one.dim_value, other.dim_value
        axes.append(sizes[0] if sizes[0] == sizes[1] else BATCH if sizes == _TWO_SIZES else None)
    return make_tensor_type_proto(first.tensor_type.elem_type, axes)
