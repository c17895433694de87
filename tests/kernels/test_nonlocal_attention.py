"""The non-local attention, on its own and together with the regions: against plain loops."""

from __future__ import annotations

import pytest
import torch

from lnlattennet.kernels import _reference as reference
from tests.kernels.support.cases import (
    FEW_CASES,
    NONLOCAL_DTYPES,
    SHAPES,
    Case,
    make_inputs,
    make_mean,
    make_parameters,
    sliced,
)
from tests.kernels.support.checks import (
    check_local_nonlocal_attention,
    check_local_nonlocal_gradients,
    check_nonlocal_attention,
    check_nonlocal_gradients,
    ops,
)
from tests.kernels.support.comparison import assert_same_bits
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout
from tests.kernels.support.marks import every_device

CASES = [Case(shape, *dtypes, seed=5) for shape in SHAPES for dtypes in NONLOCAL_DTYPES]
JOINT = [case for case in FEW_CASES if (case.features, case.parameters) in NONLOCAL_DTYPES]
SMALL = SHAPES[4]._replace(grid=2, channels=3, rows=1, columns=2, width=3)


@every_device
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nonlocal_attention_equals_plain_loops(case: Case, device: str) -> None:
    check_nonlocal_attention(case, device)


@every_device
@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_the_reference_equals_plain_loops(case: Case, device: str) -> None:
    check_nonlocal_attention(case, device, reference.nonlocal_attention)


@every_device
@pytest.mark.parametrize("case", JOINT, ids=str)
def test_local_nonlocal_attention_equals_plain_loops(case: Case, device: str) -> None:
    check_local_nonlocal_attention(case, device)


@every_device
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_nonlocal_attention_equal_plain_loops(case: Case, device: str) -> None:
    check_nonlocal_gradients(case, device)


@every_device
@pytest.mark.parametrize("case", JOINT, ids=str)
def test_gradients_of_local_nonlocal_attention_equal_plain_loops(case: Case, device: str) -> None:
    check_local_nonlocal_gradients(case, device)


@every_device
@pytest.mark.parametrize("batch", [0, 2])
def test_gradcheck_accepts_nonlocal_attention(batch: int, device: str) -> None:
    case = Case(SMALL._replace(batch=batch), torch.float64, torch.float64)
    leaves = [tensor.requires_grad_() for tensor in (make_mean(case, device), *make_parameters(case, device))]
    assert torch.autograd.gradcheck(ops.nonlocal_attention, leaves)
    assert torch.autograd.gradgradcheck(ops.nonlocal_attention, leaves, fast_mode=True)


@every_device
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
def test_gradcheck_accepts_local_nonlocal_attention(layout: Layout, device: str) -> None:
    case = Case(SMALL._replace(batch=2), torch.float64, torch.float64, layout)
    features, query, grid, _ = make_inputs(case, device)
    leaves = [
        tensor.detach().requires_grad_() for tensor in (features, query, *make_parameters(case, device))
    ]
    assert torch.autograd.gradcheck(
        lambda features, query, *parameters: ops.local_nonlocal_attention(features, query, grid, *parameters),
        leaves,
    )


@every_device
def test_a_second_derivative_through_the_regions_is_refused(device: str) -> None:
    case = Case(SMALL, torch.float64, torch.float64)
    features, query, grid, _ = make_inputs(case, device)
    features.requires_grad_()
    context = ops.local_nonlocal_attention(features, query, grid, *make_parameters(case, device))[4]
    (of_features,) = torch.autograd.grad(context.square().sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(of_features.sum(), features)


@every_device
@pytest.mark.parametrize("dtypes", NONLOCAL_DTYPES, ids=str)
def test_strided_tensors_give_the_same_as_dense_ones(
    dtypes: tuple[torch.dtype, torch.dtype], device: str
) -> None:
    case = Case(SHAPES[9], *dtypes)
    dense = [make_mean(case, device), *make_parameters(case, device)]
    strided = [sliced(tensor)[0] for tensor in dense]
    for actual, expected in zip(
        ops.nonlocal_attention(*strided), ops.nonlocal_attention(*dense), strict=True
    ):
        assert_same_bits(actual, expected, "from strided tensors")


@every_device
def test_weights_and_affinity_are_shares(device: str) -> None:
    case = Case(SHAPES[0])
    weights, affinity, _ = ops.nonlocal_attention(make_mean(case, device), *make_parameters(case, device))
    for shares in (weights, affinity):
        assert bool((shares >= 0).all())
        torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares[..., 0]))
