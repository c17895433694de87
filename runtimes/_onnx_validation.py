"""Validation of an ONNX file before a runtime reads it: all data is inside, in the declared amount."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from lnlattennet.errors import BundleError

MAX_BYTES = 2**31 - 1
"""Largest protobuf message, and so the largest ONNX file; no constant may fill more memory either."""

_BITS_BELOW_A_BYTE: dict[int, int] = {
    **dict.fromkeys((TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1), 4),
    **dict.fromkeys((TensorProto.INT2, TensorProto.UINT2), 2),
}
_FILLING = {"ConstantOfShape": 0, "Expand": 1}
"""Operators that make a tensor of a given shape, and the input that gives it."""


def check_onnx_file(path: Path) -> None:
    """Refuse an ONNX file that would read other files, or make a runtime reserve memory for data it lacks.

    Only the file's own bytes are read, and no tensor is decoded before all were found sound.

    Raises:
        BundleError: too large, not ONNX, a tensor with external data, one whose declared shape does not fit
            its stored bytes, or a node that fills a giant shape; names the file, the tensor, rule and value.
    """
    try:
        messages = list(_messages(_parsed(path)))
        for message in messages:
            if isinstance(message, TensorProto):
                _check_location(message)
                _check_size(message)
        for message in messages:
            if isinstance(message, GraphProto):
                _check_filled(message.node, message.initializer)
            elif isinstance(message, FunctionProto):
                _check_filled(message.node, [])
    except BundleError as error:
        raise BundleError(f"{path.name}: {error}; export the checkpoint again") from error


def _parsed(path: Path) -> ModelProto:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BundleError(f"an ONNX file may have at most {MAX_BYTES:,} bytes, this has {size:,}")
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror}") from error
    except (DecodeError, ValueError) as error:
        raise BundleError(f"is not an ONNX file: {error}") from error
    if not model.graph.node:
        raise BundleError("is not an ONNX file: it holds no graph")
    return model


def _messages(message: Message) -> Iterator[Message]:
    """Yield a protobuf message and all messages in it: graphs inside nodes, values of attributes."""
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _messages(inner)


def _check_location(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "no file")
        raise BundleError(
            f"tensor {tensor.name!r} keeps its data in another file ({where!r}), "
            "which this project never writes"
        )


def _check_size(tensor: TensorProto) -> None:
    kind, count = tensor.data_type, _count(tensor.name, tensor.dims)
    if kind == TensorProto.UNDEFINED:
        # A tensor without a type can hold nothing.
        stored, declared = tensor.ByteSize(), 0
    elif kind not in TensorProto.DataType.values():
        raise BundleError(f"tensor {tensor.name!r} has the unknown type {kind}")
    elif tensor.HasField("raw_data"):
        stored, declared = len(tensor.raw_data), _bytes(kind, count)
    else:
        stored = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(kind)))
        declared = _declared_values(kind, count)
    if stored != declared:
        unit = "bytes" if tensor.HasField("raw_data") else "values"
        raise BundleError(
            f"tensor {tensor.name!r} must hold the {declared:,} {unit} of its shape {list(tensor.dims)}, "
            f"holds {stored:,}"
        )


def _count(name: str, shape: Sequence[int]) -> int:
    if any(size < 0 for size in shape):
        raise BundleError(f"tensor {name!r} has the shape {list(shape)}; sizes must not be negative")
    return math.prod(shape)


def _bytes(kind: int, count: int) -> int:
    bits = _BITS_BELOW_A_BYTE.get(kind) or 8 * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
    return -(-count * bits // 8)


def _declared_values(kind: int, count: int) -> int:
    """Return how many entries of its typed field a tensor fills: packed below a byte, 2 if complex."""
    if kind in _BITS_BELOW_A_BYTE:
        return _bytes(kind, count)
    return 2 * count if kind in (TensorProto.COMPLEX64, TensorProto.COMPLEX128) else count


def _check_filled(nodes: Iterable[NodeProto], initializers: Iterable[TensorProto]) -> None:
    """Refuse nodes that fill a constant shape beyond ``MAX_BYTES``: a few bytes can ask for any memory."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in initializers if _is_shape(tensor)}
    for node in nodes:
        if node.op_type == "Constant":
            constants.update(_constant(node))
        index = _FILLING.get(node.op_type, len(node.input))
        if index < len(node.input) and node.input[index] in constants:
            shape = constants[node.input[index]].ravel().tolist()
            if _count(node.output[0], shape) > MAX_BYTES:
                raise BundleError(
                    f"node {node.name!r} fills the shape {shape}; "
                    f"a tensor may have at most {MAX_BYTES:,} values"
                )


def _constant(node: NodeProto) -> dict[str, NDArray[Any]]:
    """The value of a Constant node that may be a shape."""
    for attribute in node.attribute:
        if attribute.name == "value" and _is_shape(attribute.t):
            return {node.output[0]: numpy_helper.to_array(attribute.t)}
        if attribute.name in ("value_int", "value_ints"):
            return {node.output[0]: np.array([*attribute.ints, attribute.i][: len(attribute.ints) or 1])}
    return {}


def _is_shape(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.INT64 and len(tensor.dims) == 1
