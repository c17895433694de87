"""Scales and zero points of 8-bit numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ExportError

_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Number:
    """Number type that floats are quantized to.

    Attributes:
        dtype: its numpy type.
        lowest: smallest value that is used.
        highest: largest value.
    """

    dtype: np.dtype[Any]
    lowest: float
    highest: float


# -128 is left out: without it a range is symmetric, and sums of products fit the processors' accumulators.
INT8 = Number(np.dtype(np.int8), -127, 127)
# Half of what it holds: the products of the layer are added to its bias.
INT32 = Number(np.dtype(np.int32), -(2**30), 2**30)
UINT8 = Number(np.dtype(np.uint8), 0, 255)
FP8 = Number(np.dtype(ml_dtypes.float8_e4m3fn), -448, 448)


@dataclass(frozen=True)
class Scale:
    """value = scale * (quantized - zero_point).

    Attributes:
        number: the quantized type.
        scale: float32 [] or [channels], positive.
        zero_point: ``number.dtype``, of the scale's shape.
    """

    number: Number
    scale: NDArray[np.float32]
    zero_point: NDArray[Any]


def activation_scale(low: float, high: float, number: Number) -> Scale:
    """Return the scale of a tensor whose values lie from ``low`` to ``high``; 0 is represented exactly.

    Raises:
        ExportError: the range is empty or not finite.
    """
    if not (np.isfinite([low, high]).all() and low <= high):
        raise ExportError(f"a range must be finite with low <= high, got {low} to {high}")
    low, high = min(low, 0.0), max(high, 0.0)
    if number.lowest == 0:
        scale = max((high - low) / number.highest, _SMALLEST_SCALE)
        zero_point = round(-low / scale)
    else:
        scale = max(max(-low, high) / number.highest, _SMALLEST_SCALE)
        zero_point = 0
    return Scale(number, np.float32(scale).reshape(()), np.array(zero_point, number.dtype))


def weight_scale(
    weight: NDArray[np.float32],
    number: Number,
    bias: NDArray[np.float32] | None = None,
    activation: Scale | None = None,
) -> Scale:
    """Return a symmetric scale for every output channel of a weight [channels, ...].

    With the layer's ``bias`` [channels] and the scale of its ``activation``, the scales are large enough for
    the bias too (``bias_scale``): a channel that a norm has scaled to nearly nothing is little but its bias.

    Raises:
        ExportError: a weight is not finite.
    """
    if not np.isfinite(weight).all():
        raise ExportError("weights that are not finite cannot be quantized")
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = largest / number.highest
    if bias is not None and activation is not None:
        scale = np.maximum(scale, np.abs(bias.astype(np.float64)) / activation.scale / INT32.highest)
    # A channel of zeros has no scale of its own; any serves.
    scale = np.where(scale > 0, np.maximum(scale, _SMALLEST_SCALE), 1.0)
    return Scale(number, scale.astype(np.float32), np.zeros(len(scale), number.dtype))


def bias_scale(activation: Scale, weight: Scale) -> Scale:
    """Return the scale of a layer's 32-bit accumulator, per output channel: what its bias must have."""
    scale = np.maximum(activation.scale * weight.scale, np.float32(_SMALLEST_SCALE))
    return Scale(INT32, scale, np.zeros(scale.shape, np.int32))


def quantize(values: NDArray[np.float32], scale: Scale) -> NDArray[Any]:
    """Quantize values [channels, ...] with a scale per channel: rounded half to even, saturated."""
    scaled = values / scale.scale.reshape(-1, *[1] * (values.ndim - 1))
    if scale.number.dtype.kind in "iu":
        scaled = np.rint(scaled)
    return np.clip(scaled, scale.number.lowest, scale.number.highest).astype(scale.number.dtype)
