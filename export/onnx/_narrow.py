"""Convolutions of few channels, rearranged for runtimes that hold values channels-last.

A convolution with fewer outputs than two vectors of a CPU leaves most of its multipliers idle. Here it
computes two neighboring columns at once, as twice as many channels; channels-last, two columns of C channels
and one of 2C are the same memory, so to see them as columns again costs nothing. Where it reads upsampled
values, each of which stands in four places, the weights of equal values are added up beforehand, and it
convolves the values as they were before.

What a narrow convolution, its upsampling and its joining gave is left without a reader.
"""

from __future__ import annotations

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from lnlattennet.export.onnx._editing import Insertion, array_of, has_attributes, inputs_of, shape_of

_NARROW = 32
"""Output channels from which on nothing is gained: two vectors of AVX-512 hold 32 floats."""

_ROWS = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], np.float32)
"""Row of a pair, tap over the rows before upsampling, tap over those after it -> whether both are one value.

An upper row sees the last row before it and twice its own; a lower row twice its own and the next.
"""

_COLUMNS = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]], np.float32)
"""The same for columns, with three taps for either column, since both are computed from the same three."""

_DOUBLING = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
"""What makes a Resize to twice the size write every value in four places."""


def widen_narrow_convolutions(graph: onnx_ir.Graph) -> None:
    """Rearrange every padded 3x3 convolution of fewer than 32 outputs that a ReLU alone reads.

    The ReLU keeps its output's name: [B, 2C, H, W/2] there, with columns 2j and 2j + 1 of channel c in
    column j of channels c and C + c. What reads it reads [B, C, H, W] behind it.

    Args:
        graph: changed in place; shapes are known.
    """
    for convolution in [node for node in graph if _is_narrow(node)]:
        _widen(graph, convolution)


def _is_narrow(node: onnx_ir.Node) -> bool:
    if node.op_type != "Conv":
        return False
    outputs, _, *size = shape_of(inputs_of(node)[1])
    readers = node.outputs[0].consumers()
    return (
        outputs < _NARROW
        and size == [3, 3]
        and has_attributes(node, group=1, dilations=(1, 1), pads=(1, 1, 1, 1))
        and shape_of(node.outputs[0])[3] % 2 == 0
        and [reader.op_type for reader in readers] == ["Relu"]
    )


def _widen(graph: onnx_ir.Graph, convolution: onnx_ir.Node) -> None:
    insert = Insertion(graph, convolution)
    image, weight, bias = inputs_of(convolution)
    _, channels, height, width = shape_of(convolution.outputs[0])
    [stride] = set(convolution.attributes["strides"].as_ints())
    kernel, upsampled = array_of(weight), _upsampled(image) if stride == 1 else None
    if upsampled is not None:
        coarse, image = upsampled
        deep, kernel = np.split(kernel, [shape_of(coarse)[1]], axis=1)
        rows = [insert("Conv", coarse, part, pads=[1 - row, 1, row, 1]) for row, part in _row_kernels(deep)]
        # Channels-last, an upper row and the lower one behind it are one row of twice the length.
        pairs = _reshaped(insert, insert("Concat", *rows, axis=3), [0, height, width // 2, 2 * channels])
    result = insert(
        "Conv",
        image,
        _paired(kernel, stride),
        np.tile(array_of(bias), 2),
        strides=[stride, 2 * stride],
        # The right column of the last pair sees what the last column saw.
        pads=[1, 1, 1, stride * (width - 1) + 2 - shape_of(image)[3]],
    )
    if upsampled is not None:
        result = insert("Add", result, pairs)
    [relu] = convolution.outputs[0].consumers()
    relu.replace_input_with(0, result)
    relu.outputs[0].shape = onnx_ir.Shape([None, 2 * channels, height, width // 2])
    graph.remove(convolution, safe=True)
    _separate_columns(graph, relu, [0, height, width, channels])


def _separate_columns(graph: onnx_ir.Graph, relu: onnx_ir.Node, shape: list[int]) -> None:
    readers = relu.outputs[0].uses()
    columns = _reshaped(Insertion(graph, relu), relu.outputs[0], shape)
    for reader, index in readers:
        reader.replace_input_with(index, columns)


def _upsampled(image: onnx_ir.Value) -> tuple[onnx_ir.Value, onnx_ir.Value] | None:
    """Return coarse and fine values where ``image`` is the first, upsampled, joined with the second."""
    join = image.producer()
    if join is None or join.op_type != "Concat" or not has_attributes(join, axis=1):
        return None
    upsampled, fine = inputs_of(join)
    coarse = _before_doubling(upsampled.producer())
    return None if coarse is None else (coarse, fine)


def _before_doubling(resize: onnx_ir.Node | None) -> onnx_ir.Value | None:
    """Return the values that a node writes twice in each direction."""
    if resize is None or resize.op_type != "Resize" or not has_attributes(resize, **_DOUBLING):
        return None
    coarse = inputs_of(resize)[0]
    channels, height, width = shape_of(coarse)[1:]
    doubled = shape_of(resize.outputs[0])[1:] == [channels, 2 * height, 2 * width]
    return coarse if doubled else None


def _paired(kernel: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Return [2F, C, 3, 3 + stride] of [F, C, 3, 3]: the right column sees ``stride`` columns further."""
    pair = np.zeros((2, *kernel.shape[:3], 3 + stride), np.float32)
    pair[0, ..., :3] = kernel
    pair[1, ..., stride:] = kernel
    return pair.reshape(-1, *pair.shape[2:])


def _row_kernels(kernel: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
    """Return 0, for upper rows, and 1, for lower ones, each with weights [2F, C, 2, 3] over coarse values."""
    sums = np.einsum("rab,fcbd,qed->rqfcae", _ROWS, kernel, _COLUMNS)
    return list(enumerate(sums.reshape(2, -1, *sums.shape[3:])))


def _reshaped(insert: Insertion, value: onnx_ir.Value, shape: list[int]) -> onnx_ir.Value:
    """Return the value read as [B, H, W, C] and split into other H, W and C, as [B, C, H, W]."""
    last = insert("Transpose", value, perm=[0, 2, 3, 1])
    result = insert("Transpose", insert("Reshape", last, np.array(shape, np.int64)), perm=[0, 3, 1, 2])
    result.shape = onnx_ir.Shape([None, shape[3], *shape[1:3]])
    return result
