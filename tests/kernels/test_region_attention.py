"""The op's forward pass: against plain loops, for every type, layout and edge of shape."""

from __future__ import annotations

import pytest
import torch

from lnlattennet.kernels import _reference as reference
from tests.kernels.support.cases import DTYPES, FEW_CASES, FIXED_CASES, Case, normal
from tests.kernels.support.checks import check_region_attention, expected_gradients, expected_outputs, ops
from tests.kernels.support.comparison import assert_close, pooling_error
from tests.kernels.support.marks import every_device


@every_device
@pytest.mark.parametrize("case", FIXED_CASES, ids=str)
def test_region_attention_equals_plain_loops(case: Case, device: str) -> None:
    check_region_attention(case, device)


@every_device
@pytest.mark.parametrize("case", FEW_CASES, ids=str)
def test_the_reference_equals_plain_loops(case: Case, device: str) -> None:
    check_region_attention(case, device, reference.region_attention)


@every_device
@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
def test_sliding_windows_are_read_like_any_other_view(
    dtypes: tuple[torch.dtype, torch.dtype], device: str
) -> None:
    """Channels that overlap: both the channel stride and the column stride are 1."""
    signal = normal(1, 2, 4, 6 + 4).to(device, dtypes[0])
    features = signal.unfold(2, 5, 1).permute(0, 3, 1, 2)  # (2, 5, 4, 6)
    assert features.stride()[1::2] == (1, 1)
    query = normal(2, 4, 2, 5).to(device, dtypes[1])
    gradients = [normal(3, 2, 4, 2, 5).to(features), normal(4, 2, 4, 5).to(features)]
    expected = [
        *expected_outputs(features, query, 2),
        *expected_gradients(gradients, features, query, 2),
    ]
    actual = [
        *ops.region_attention(features, query, 2),
        *ops.region_attention_backward(*gradients, features, query, 2),
    ]
    for tensor, array in zip(actual, expected, strict=True):
        assert_close(tensor, array, tensor.dtype, pooling_error(dtypes[0]), "output")
