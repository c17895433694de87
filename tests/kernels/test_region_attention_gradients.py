"""The op's backward pass: against plain loops, called directly and through autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lnlattennet.kernels import _reference as reference
from tests.kernels.support.cases import FEW_CASES, FIXED_CASES, Case, Shape, make_inputs
from tests.kernels.support.checks import (
    check_region_attention_autograd,
    check_region_attention_backward,
    make_gradients,
    ops,
)
from tests.kernels.support.comparison import assert_same_bits
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout
from tests.kernels.support.marks import every_device

SMALL = Shape(batch=2, grid=2, heads=2, channels=5, rows=2, columns=3)


@every_device
@pytest.mark.parametrize("case", FIXED_CASES, ids=str)
def test_the_backward_op_equals_plain_loops(case: Case, device: str) -> None:
    check_region_attention_backward(case, device)


@every_device
@pytest.mark.parametrize("case", FEW_CASES, ids=str)
def test_the_reference_equals_plain_loops(case: Case, device: str) -> None:
    check_region_attention_backward(case, device, reference.region_attention_backward)


@every_device
@pytest.mark.parametrize("case", FEW_CASES, ids=str)
def test_autograd_equals_plain_loops(case: Case, device: str) -> None:
    check_region_attention_autograd(case, device)


@every_device
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
@pytest.mark.parametrize("batch", [0, 2])
def test_gradcheck_accepts_region_attention(batch: int, layout: Layout, device: str) -> None:
    case = Case(SMALL._replace(batch=batch), torch.float64, torch.float64, layout)
    features, query, grid, _ = make_inputs(case, device)
    leaves = (features.detach().requires_grad_(), query.detach().requires_grad_())
    assert torch.autograd.gradcheck(lambda *tensors: ops.region_attention(*tensors, grid), leaves)


def gradients_of(case: Case, device: str, *needed: bool) -> list[Tensor | None]:
    """Gradients of features and query where they are needed, of the sum of squares of both outputs."""
    features, query, grid, _ = make_inputs(case, device)
    leaves = [
        tensor.detach().clone().requires_grad_(need)
        for tensor, need in zip((features, query), needed, strict=True)
    ]
    pooled, mean = ops.region_attention(*leaves, grid)
    (pooled.square().sum() + mean.square().sum()).backward()
    return [leaf.grad for leaf in leaves]


@every_device
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
def test_only_the_gradients_that_are_needed_arrive(layout: Layout, device: str) -> None:
    case = Case(SMALL, layout=layout)
    both = gradients_of(case, device, True, True)
    of_features, none = gradients_of(case, device, True, False)
    assert none is None
    nothing, of_query = gradients_of(case, device, False, True)
    assert nothing is None
    for alone, together in zip((of_features, of_query), both, strict=True):
        assert alone is not None
        assert together is not None
        assert_same_bits(alone, together, "a gradient on its own")


@every_device
def test_nothing_is_recorded_where_no_gradient_is_needed(device: str) -> None:
    features, query, grid, _ = make_inputs(Case(SMALL), device)
    assert all(output.grad_fn is None for output in ops.region_attention(features, query, grid))
    features.requires_grad_()
    with torch.no_grad():
        assert all(output.grad_fn is None for output in ops.region_attention(features, query, grid))


@every_device
@pytest.mark.parametrize("output", [0, 1], ids=["pooled", "mean"])
def test_an_output_that_the_loss_ignores_adds_nothing(output: int, device: str) -> None:
    case = Case(SMALL, torch.float64, torch.float64)
    inputs = make_inputs(case, device)
    gradients = list(make_gradients(case, device))
    gradients[1 - output].zero_()
    expected = ops.region_attention_backward(*gradients, *inputs[:3])
    leaves = [tensor.detach().requires_grad_() for tensor in inputs[:2]]
    outputs = ops.region_attention(*leaves, inputs.grid)
    actual = torch.autograd.grad(outputs[output], leaves, gradients[output], allow_unused=True)
    for name, tensor, same in zip(("features", "query"), actual, expected, strict=True):
        torch.testing.assert_close(torch.zeros_like(same) if tensor is None else tensor, same, msg=name)


@every_device
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
def test_expanded_gradients_equal_dense_ones(layout: Layout, device: str) -> None:
    """``.sum().backward()`` sends one number with strides of zero."""
    case = Case(SMALL, layout=layout)
    inputs = make_inputs(case, device)
    dense = [torch.ones_like(gradient) for gradient in make_gradients(case, device)]
    expanded = [gradient.flatten()[0].expand_as(gradient) for gradient in dense]
    expected = ops.region_attention_backward(*dense, *inputs[:3])
    actual = ops.region_attention_backward(*expanded, *inputs[:3])
    for tensor, same in zip(actual, expected, strict=True):
        assert_same_bits(tensor, same, "from an expanded gradient")

    leaves = [tensor.detach().requires_grad_() for tensor in inputs[:2]]
    pooled, mean = ops.region_attention(*leaves, inputs.grid)
    (pooled.sum() + mean.sum()).backward()
    for leaf, same in zip(leaves, expected, strict=True):
        assert leaf.grad is not None
        assert_same_bits(leaf.grad, same, "through sum().backward()")


@every_device
def test_a_second_derivative_is_refused(device: str) -> None:
    features, query, grid, _ = make_inputs(Case(SMALL, torch.float64, torch.float64), device)
    leaves = [tensor.detach().requires_grad_() for tensor in (features, query)]
    pooled, _ = ops.region_attention(*leaves, grid)
    (of_features, _) = torch.autograd.grad(pooled.square().sum(), leaves, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(of_features.sum(), leaves)
