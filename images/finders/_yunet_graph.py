"""libfacedetection's network as an ONNX graph, with the weights that the library carries.

The graph is the library's, layer by layer (objectdetect_cnn):
https://github.com/ShiqiYu/libfacedetection/blob/master/src/facedetectcnn-model.cpp.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from lnlattennet.images.finders._yunet import INPUT

_SYMBOL, _CONVOLUTIONS = "param_pConvInfo", 53
_MOST_CHANNELS = 64
_OPSET, _IR_VERSION = 17, 8


class _Convolution(ctypes.Structure):
    """The library's ConvInfoStruct: a convolution of 1 x 1 pixels, or a depthwise one of 3 x 3."""

    _fields_ = (
        ("channels", ctypes.c_int),
        ("filters", ctypes.c_int),
        ("depthwise", ctypes.c_bool),
        ("pointwise", ctypes.c_bool),
        ("relu", ctypes.c_bool),
        ("weights", ctypes.POINTER(ctypes.c_float)),
        ("biases", ctypes.POINTER(ctypes.c_float)),
    )


def network(library: ctypes.CDLL) -> bytes:
    """Return the network of a loaded library as an ONNX model.

    Raises:
        ValueError: the library has no weights, or they are not of this network.
    """
    convolutions = (_Convolution * _CONVOLUTIONS).in_dll(library, _SYMBOL)
    for convolution in convolutions:
        counts = (convolution.channels, convolution.filters)
        if not all(1 <= count <= _MOST_CHANNELS for count in counts) or (
            convolution.depthwise == convolution.pointwise
        ):
            raise ValueError(f"its table {_SYMBOL} is of another network")
    graph = _Graph(list(convolutions))
    levels = _levels(graph)
    outputs = [graph.head(level, number) for number, level in enumerate(levels)]
    return graph.model(outputs)


def _levels(graph: _Graph) -> list[str]:
    """Return the features that boxes are read from, one for each stride."""
    pixels = graph.node("Cast", INPUT, to=onnx.TensorProto.FLOAT)
    x = graph.convolution(graph.node("Transpose", pixels, perm=[0, 3, 1, 2]), 0, relu=True)
    x = graph.pool(graph.separable(x, 1))
    x = graph.block(graph.block(x, 3), 7)
    fine = graph.block(graph.pool(x), 11)
    middle = graph.block(graph.pool(fine), 15)
    coarse = graph.separable(graph.block(graph.pool(middle), 19), 27)
    middle = graph.separable(graph.add_enlarged(middle, coarse), 25)
    fine = graph.separable(graph.add_enlarged(fine, middle), 23)
    return [fine, middle, coarse]


class _Graph:
    """A graph that grows node by node; a value is known by its name."""

    def __init__(self, convolutions: Sequence[_Convolution]) -> None:
        self._convolutions = convolutions
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._scales = self._constant(np.array([1, 1, 2, 2], np.float32))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output."""
        output = f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def convolution(self, x: str, index: int, relu: bool) -> str:
        layer = self._convolutions[index]
        weights, options = _weights(layer, first=index == 0)
        biases = np.ctypeslib.as_array(layer.biases, (layer.filters,))
        y = self.node("Conv", x, self._constant(weights), self._constant(biases), **options)
        return self.node("Relu", y) if relu else y

    def separable(self, x: str, index: int, relu: bool = True) -> str:
        return self.convolution(self.convolution(x, index, relu=False), index + 1, relu)

    def block(self, x: str, index: int) -> str:
        return self.separable(self.separable(x, index), index + 2)

    def pool(self, x: str) -> str:
        return self.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def add_enlarged(self, x: str, small: str) -> str:
        """Add a value of half the height and width, each of its pixels to four."""
        nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        enlarged = self.node("Resize", small, "", self._scales, mode="nearest", **nearest)
        return self.node("Add", enlarged, x)

    def head(self, level: str, number: int) -> str:
        # Scores, objectness, boxes, landmarks; each has one such pair of layers per level in the table.
        parts = [self.separable(level, start + 2 * number, relu=False) for start in (29, 41, 35, 47)]
        return self.node("Concat", *parts, axis=1)

    def model(self, outputs: Sequence[str]) -> bytes:
        image = helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, [1, None, None, 3])
        cells = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 16, None, None])
            for name in outputs
        ]
        graph = helper.make_graph(self._nodes, "libfacedetection", [image], cells, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())

    def _constant(self, values: NDArray[np.float32]) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _weights(layer: _Convolution, first: bool) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return a layer's weights as ONNX orders them, [filters, channels, rows, columns], and attributes."""
    if first:
        # The library gathers 3 x 3 pixels of 3 channels, BGR, into 32 of which the last 5 are zeros.
        pixels = np.ctypeslib.as_array(layer.weights, (layer.filters, layer.channels))[:, :27]
        weights = pixels.reshape(layer.filters, 3, 3, 3)[..., ::-1].transpose(0, 3, 1, 2)
        return weights, {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    if layer.depthwise:
        weights = np.ctypeslib.as_array(layer.weights, (9, layer.channels)).T
        return weights.reshape(-1, 1, 3, 3), {"group": layer.channels, "pads": [1, 1, 1, 1]}
    shape = (layer.filters, layer.channels, 1, 1)
    return np.ctypeslib.as_array(layer.weights, shape), {}
