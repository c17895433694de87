"""Every number of the half types goes through the ops unchanged, and every tie is rounded to even."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.kernels.support.checks import ops
from tests.kernels.support.comparison import assert_same_bits
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout, place
from tests.kernels.support.marks import every_device

every_half = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
every_layout = pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)


def all_numbers(dtype: torch.dtype) -> Tensor:
    """All 65536 bit patterns, without those of NaN (whose payload may change) and -0 (a sum of it is 0)."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    return torch.where(numbers.isnan() | (numbers == 0), torch.zeros_like(numbers), numbers)


def as_regions(numbers: Tensor, positions: int) -> Tensor:
    """[count, positions] -> features [1, 256, 16, 16 * positions]: a number's positions are one region."""
    return numbers.reshape(1, 256, 16, 16 * positions)


def means(numbers: Tensor, layout: Layout, device: str) -> Tensor:
    """The mean over the last dimension of [65536, positions], by the op."""
    features, _ = place(as_regions(numbers, numbers.shape[1]).to(device), layout)
    query = torch.zeros(256, 1, 256, device=device)
    actual: Tensor = ops.region_attention(features, query, 16)[1]  # (1, 256 regions, 256 channels)
    return actual[0].mT.reshape(-1).cpu()


@every_device
@every_layout
@every_half
def test_every_number_comes_back_from_a_region_of_one_position(
    dtype: torch.dtype, layout: Layout, device: str
) -> None:
    numbers = all_numbers(dtype)
    assert_same_bits(means(numbers.unsqueeze(1), layout, device), numbers, "mean of one number")


@every_device
@every_layout
@every_half
def test_the_mean_of_neighbors_is_rounded_to_even(dtype: torch.dtype, layout: Layout, device: str) -> None:
    numbers = all_numbers(dtype)
    neighbors = torch.where(numbers.isfinite(), (numbers.view(torch.int16) + 1).view(dtype), numbers)
    # Beyond the largest number comes infinity: float32 holds that sum, and it has no tie to round.
    neighbors = torch.where(neighbors.isfinite(), neighbors, numbers)
    # torch rounds float32 as IEEE 754 says; the sum of two such numbers is exact.
    expected = ((numbers.float() + neighbors.float()) / 2).to(dtype)
    actual = means(torch.stack([numbers, neighbors], dim=1), layout, device)
    assert_same_bits(actual, expected, "mean of two neighbors")
