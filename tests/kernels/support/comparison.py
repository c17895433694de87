"""Comparison with the float64 oracle: tolerances, types, shapes and bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.kernels.support.oracle import Array

# Half the distance of neighboring numbers, relative: what storing the result costs.
ROUNDING = {
    torch.float64: 2.0**-53,
    torch.float32: 2.0**-24,
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-8,
}
# What computing the result costs, relative to the largest value of the tensor. Half types are accumulated in
# float32, from inputs that the oracle gets as they were rounded, so they add nothing but the rounding above.
# Two sums of up to a few hundred terms, an exponential and a quotient: some 50 roundings of 2^-24.
_FLOAT32, _FLOAT64 = 50 * 2.0**-24, 50 * 2.0**-53


def computing_error(features: torch.dtype) -> float:
    return _FLOAT64 if features == torch.float64 else _FLOAT32


def gradient_error(features: torch.dtype) -> float:
    """A chain of up to eight products and two softmaxes, whose gradients partly cancel."""
    return 8 * computing_error(features)


def pooling_error(features: torch.dtype) -> float:
    """The error of a ``pooled`` before it is stored."""
    # The CPU takes the query of a bfloat16 dot product as two bfloat16 numbers: scores keep 16 bits of it.
    # What that costs is 1/32 of what storing costs.
    split = 2.0**-13 if features == torch.bfloat16 else 0.0
    return computing_error(features) + split


def values(tensor: Tensor) -> Array:
    array: Array = tensor.detach().double().cpu().numpy()
    return array


def assert_close(actual: Tensor, expected: Array, dtype: torch.dtype, computed: float, what: str) -> None:
    """``computed`` is the error before rounding to ``dtype``, relative to the largest value, at least 1."""
    assert actual.dtype == dtype, what
    assert tuple(actual.shape) == expected.shape, what
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(
        values(actual), expected, rtol=ROUNDING[dtype], atol=computed * scale, err_msg=what
    )


def bits(tensor: Tensor) -> Tensor:
    """The memory of a tensor as integers, so that NaN equals NaN."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.detach().contiguous().view(integers)


def assert_same_bits(actual: Tensor, expected: Tensor, what: str) -> None:
    assert actual.dtype == expected.dtype, what
    assert torch.equal(bits(actual), bits(expected)), f"{what}: {actual} is not bit for bit {expected}"
