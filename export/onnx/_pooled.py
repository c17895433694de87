"""The U-Net's projection, computed for regions instead of positions.

The projection is linear, and so is everything that reads the features that it gives: the scores of a region's
positions, their sum by attention (whose weights add up to 1), and their mean. So these are taken of what the
projection reads, which has fewer channels, and the two sums are projected.
"""

from __future__ import annotations

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._editing import (
    Insertion,
    array_of,
    has_attributes,
    inputs_of,
    producer_of,
    shape_of,
)
from lnlattennet.export.onnx._naming import block_of

_PROJECT = "unet.project"

Matrix = NDArray[np.float32]


def project_pooled(graph: onnx_ir.Graph) -> None:
    """Let the attention read what the U-Net's projection reads, and project each region's two sums.

    A projection to fewer channels than it reads stays where it is.

    Args:
        graph: changed in place; what it no longer needs is left without a reader.

    Raises:
        ExportError: the projection is something else than convolutions of single positions.
    """
    projections = [node for node in graph if block_of(str(node.name)) == _PROJECT]
    features = projections[0].outputs[0]
    [reader] = features.consumers()
    if reader.op_type == "Concat":
        features = reader.outputs[0]
        projections = [producer_of(value) for value in inputs_of(reader)]
    for node in projections:
        _require_pointwise(node)
    weight, bias = _matrix(projections)
    if weight.shape[0] < weight.shape[1]:
        return
    old, new = _regions(graph, features, [inputs_of(node)[0] for node in projections], weight)
    for node in old.consumers():
        insert = Insertion(graph, node)
        if node.op_type == "ReduceMean":
            result = _projected(graph, _mean(insert, new), weight, bias)
        elif node.inputs[0] is old:
            # The bias adds the same to all scores of a region, which their softmax does not see.
            queries = np.einsum("kch,cu->kuh", array_of(inputs_of(node)[1]), weight)
            result = insert("MatMul", new, queries)
        else:
            result = _projected(graph, insert("MatMul", inputs_of(node)[0], new), weight, bias)
        node.outputs[0].replace_all_uses_with(result)


def _require_pointwise(node: onnx_ir.Node) -> None:
    if (
        node.op_type != "Conv"
        or shape_of(inputs_of(node)[1])[2:] != [1, 1]
        or not has_attributes(node, group=1, strides=(1, 1), pads=(0, 0, 0, 0))
    ):
        raise ExportError(f"{node.name} is no 1x1 convolution, which alone can be taken of sums")


def _matrix(projections: list[onnx_ir.Node]) -> tuple[Matrix, Matrix]:
    """Return weight [C, U] and bias [C] of the projections side by side, each of its own part of U."""
    weights = [array_of(inputs_of(node)[1])[:, :, 0, 0] for node in projections]
    weight = np.zeros(np.sum([part.shape for part in weights], axis=0), np.float32)
    row = column = 0
    for part in weights:
        weight[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return weight, np.concatenate([array_of(inputs_of(node)[2]) for node in projections])


def _regions(
    graph: onnx_ir.Graph, features: onnx_ir.Value, sources: list[onnx_ir.Value], weight: Matrix
) -> tuple[onnx_ir.Value, onnx_ir.Value]:
    """Return features cut into regions [B, K, N, C], and the same of the sources, [B, K, N, U]."""
    channels, unprojected = weight.shape
    [node] = features.consumers()
    insert = Insertion(graph, producer_of(features), block_of(str(node.name)))
    old, new = features, sources[0] if len(sources) == 1 else insert("Concat", *sources, axis=1)
    while node.op_type in ("Transpose", "Reshape"):
        if node.op_type == "Transpose":
            new = insert("Transpose", new, perm=node.attributes["perm"].as_ints())
        else:
            shape = array_of(inputs_of(node)[1]).copy()
            shape[-1] = shape[-1] // channels * unprojected
            new = insert("Reshape", new, shape)
        old = node.outputs[0]
        node = old.consumers()[0]
    return old, new


def _mean(insert: Insertion, regions: onnx_ir.Value) -> onnx_ir.Value:
    """Return the mean over positions, computed as a product: faster where the channels are innermost."""
    count = array_of(inputs_of(producer_of(regions))[1])[2]
    shares = np.full((1, 1, 1, count), 1 / count, np.float32)
    return insert("Squeeze", insert("MatMul", shares, regions), np.array([2], np.int64))


def _projected(graph: onnx_ir.Graph, sums: onnx_ir.Value, weight: Matrix, bias: Matrix) -> onnx_ir.Value:
    """Return [..., C] of sums [..., U]."""
    insert = Insertion(graph, producer_of(sums), _PROJECT)
    return insert("Add", insert("MatMul", sums, weight.T), bias)
