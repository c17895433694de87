"""Precisions that an engine's convolutions and matrix products run in."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from lnlattennet.model._io_spec import INPUT_NAME

_PRODUCTS = ("conv", "gemm", "matmul", "matrixmultiply", "einsum")
_RESHAPES = {"SHUFFLE", "SQUEEZE", "UNSQUEEZE"}
_PRECISIONS = {
    "int8": "int8",
    "fp8": "fp8",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "half": "fp16",
    "fp16": "fp16",
    "fp32": "fp32",
    "float": "fp32",
}
"""Word in a data type of a network or of the inspector -> precision; the first that occurs decides."""


def demanded_layers(network: Any) -> dict[str, int]:
    """Count the products of a parsed network by the precision that it demands of the builder.

    A strongly typed network leaves the builder no choice of types, so this is what will run, although it is
    not measured. Products of two dequantized tensors count as what those were quantized to; with one of
    them in floating point they run in floating point.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    sources = {layer.get_output(k).name: layer for layer in layers for k in range(layer.num_outputs)}
    counts = collections.Counter(
        _demanded_precision(layer, sources) for layer in layers if _is_product(layer.type.name)
    )
    return dict(counts)


def inspected_layers(trt: ModuleType, engine: Any, shape: tuple[int, ...]) -> dict[str, int]:
    """Count an engine's products by precision, as its inspector reports them; needs a GPU.

    Args:
        trt: the TensorRT module.
        engine: built with detailed profiling verbosity.
        shape: the input's; data types of a dynamic engine are known only for a shape.
    """
    context = engine.create_execution_context()
    context.set_input_shape(INPUT_NAME, shape)
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    return count_inspected(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def count_inspected(text: str) -> dict[str, int]:
    """Count the products in the inspector's JSON; layers that it gives no data type for are left out."""
    layers = [layer for layer in json.loads(text).get("Layers", []) if isinstance(layer, dict)]
    found = [_inspected_precision(layer) for layer in layers if _is_product(layer.get("LayerType"))]
    return dict(collections.Counter(precision for precision in found if precision))


def _demanded_precision(layer: Any, sources: Mapping[str, Any]) -> str:
    operands = [layer.get_input(0), layer.get_input(1) if layer.num_inputs > 1 else None]
    quantized = {_quantized_type(tensor, sources) for tensor in operands}
    if len(quantized) == 1 and "" not in quantized:
        return quantized.pop()
    name = str(operands[0].dtype.name)
    return _precision(name) or name.lower()


def _quantized_type(tensor: Any, sources: Mapping[str, Any]) -> str:
    """Return "int8" or "fp8" if ``tensor`` is one of those, dequantized and perhaps reshaped, else ""."""
    layer = sources.get(tensor.name) if tensor is not None else None
    while layer is not None and layer.type.name in _RESHAPES:
        layer = sources.get(layer.get_input(0).name)
    if layer is None or layer.type.name != "DEQUANTIZE":
        return ""
    return _precision(layer.get_input(0).dtype.name)


def _is_product(layer_type: object) -> bool:
    kind = str(layer_type).lower().replace("_", "")
    return any(word in kind for word in _PRODUCTS)


def _precision(data_type: str) -> str:
    return next((precision for word, precision in _PRECISIONS.items() if word in data_type.lower()), "")


def _inspected_precision(layer: Mapping[str, Any]) -> str:
    """Return the precision of a layer's first input, or of its weights where the inspector gives no input."""
    # "Format/Datatype" in TensorRT 10; in 11 the data type has a field of its own.
    inputs = layer.get("Inputs", [])[:1]
    types = [str(value) for tensor in inputs for key, value in tensor.items() if "datatype" in key.lower()]
    weights = layer.get("Weights", {})
    types += [str(weights["Type"])] if isinstance(weights, dict) and "Type" in weights else []
    return next(filter(None, map(_precision, types)), "")
