"""Properties of scales, checked with hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.precision._scales import (
    FP8,
    INT8,
    UINT8,
    Number,
    Scale,
    activation_scale,
    bias_scale,
    quantize,
    weight_scale,
)

NUMBERS = st.sampled_from([INT8, UINT8, FP8])
FLOATS = st.floats(-1e6, 1e6, width=32)


def restored(quantized: NDArray[np.generic], scale: Scale) -> NDArray[np.float64]:
    """Undo ``quantize`` for weights [channels, n], whose zero points are 0."""
    return np.multiply(quantized.astype(np.float64), scale.scale[:, None], dtype=np.float64)


@given(FLOATS, FLOATS, NUMBERS)
def test_an_activation_scale_covers_its_range_and_has_an_exact_zero(
    one: float, other: float, number: Number
) -> None:
    low, high = sorted((one, other))
    scale = activation_scale(low, high, number)
    step, zero = float(scale.scale), float(scale.zero_point)
    assert step > 0
    assert zero == round(zero)
    assert number.lowest <= zero <= number.highest
    # Half a step at each end is what rounding the zero point may cost.
    assert (number.lowest - zero) * step <= min(low, 0) + step / 2 + 1e-5 * abs(low)
    assert (number.highest - zero) * step >= max(high, 0) - step / 2 - 1e-5 * abs(high)


@given(FLOATS, FLOATS)
def test_symmetric_scales_have_no_zero_point(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert activation_scale(low, high, INT8).zero_point == 0
    assert float(activation_scale(low, high, FP8).zero_point) == 0


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=FLOATS))
def test_int8_weights_are_within_half_a_step(weight: NDArray[np.float32]) -> None:
    scale = weight_scale(weight, INT8)
    quantized = quantize(weight, scale)
    assert quantized.min() >= -127
    error = np.abs(restored(quantized, scale) - weight)
    assert (error <= scale.scale[:, None].astype(np.float64) * (0.5 + 1e-4)).all()


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=FLOATS))
def test_fp8_weights_keep_three_bits_of_mantissa(weight: NDArray[np.float32]) -> None:
    scale = weight_scale(weight, FP8)
    error = np.abs(restored(quantize(weight, scale), scale) - weight)
    # Half a unit in the last of 3 bits, or half the smallest subnormal (2^-9).
    limit = np.maximum(np.abs(weight) * 2**-4, scale.scale[:, None] * 2**-10)
    assert (error <= limit * (1 + 1e-4)).all()


def test_each_channel_has_a_scale_of_its_own_and_zeros_have_any() -> None:
    weight = np.array([[1.0, -127.0], [0.5, 0.25], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(weight_scale(weight, INT8).scale, [1, 0.5 / 127, 1])


def test_a_bias_has_the_scale_of_the_sum_it_is_added_to() -> None:
    activation = activation_scale(0, 255, UINT8)
    weight = weight_scale(np.array([[127.0], [1.27]], np.float32), INT8)
    scale = bias_scale(activation, weight)
    np.testing.assert_allclose(scale.scale, [1, 0.01], rtol=1e-6)
    assert quantize(np.array([3.4, 3.4], np.float32), scale).tolist() == [3, 340]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("weight", [0.5, 1e-9, 1e-20, 0.0])
def test_a_bias_is_kept_beside_weights_of_any_size(weight: float, sign: int) -> None:
    """A batch norm may scale a channel to nothing: what is left of it is its bias."""
    activation = activation_scale(0, 4, UINT8)
    weights, bias = np.full((1, 3), weight, np.float32), np.array([sign * 0.3], np.float32)
    scale = weight_scale(weights, INT8, bias, activation)
    sums = bias_scale(activation, scale)
    kept = restored(quantize(bias[:, None], sums), sums)
    assert kept.item() == pytest.approx(sign * 0.3, abs=4 / 255 * weight / 127 + 2e-7)
    assert np.abs(restored(quantize(weights, scale), scale) - weights).max() <= 1e-6


@pytest.mark.parametrize(("low", "high"), [(1, 0), (np.nan, 1), (0, np.inf)])
def test_an_impossible_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(ExportError, match="a range must be finite with low <= high, got"):
        activation_scale(low, high, UINT8)


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ExportError, match="not finite"):
        weight_scale(np.array([[np.nan]], np.float32), INT8)
