"""One case of an op against the oracle: types, shapes, values, and inputs left as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import lnlattennet.kernels  # noqa: F401  (registers the ops)
from tests.kernels.support import oracle
from tests.kernels.support.cases import Case, Inputs, make_inputs, make_mean, make_parameters, normal
from tests.kernels.support.comparison import (
    ROUNDING,
    assert_close,
    assert_same_bits,
    bits,
    computing_error,
    gradient_error,
    pooling_error,
    values,
)
from tests.kernels.support.oracle import Array

ops = torch.ops.lnlattennet


def expected_outputs(features: Tensor, query: Tensor, grid: int) -> tuple[Array, Array]:
    """The oracle's ``pooled`` and ``mean``."""
    return oracle.region_attention(values(features), values(query), grid)


def expected_gradients(
    gradients: Sequence[Tensor], features: Tensor, query: Tensor, grid: int
) -> tuple[Array, Array]:
    """The oracle's gradients of features and query from those of ``pooled`` and ``mean``."""
    pooled, mean = map(values, gradients)
    return oracle.region_attention_backward(pooled, mean, values(features), values(query), grid)


def check_region_attention(
    case: Case, device: str, op: Callable[..., Sequence[Tensor]] = ops.region_attention
) -> None:
    inputs = make_inputs(case, device)
    before = [bits(buffer).clone() for buffer in inputs.buffers]
    actual = op(*inputs[:3])
    expected = expected_outputs(*inputs[:3])
    errors = pooling_error(case.features), computing_error(case.features)
    for tensor, array, error, what in zip(actual, expected, errors, ("pooled", "mean"), strict=True):
        assert_close(tensor, array, case.features, error, what)
        assert tensor.is_contiguous()
        assert tensor.device == inputs.features.device
    for buffer, old in zip(inputs.buffers, before, strict=True):
        assert_same_bits(bits(buffer), old, "an input")


def make_gradients(case: Case, device: str) -> tuple[Tensor, Tensor]:
    """Gradients of ``pooled`` and ``mean``, every second case not contiguous."""
    shape = case.shape
    regions = shape.grid**2
    pooled = normal(case.seed + 20, shape.batch, regions, shape.heads, shape.channels)
    mean = normal(case.seed + 21, shape.batch, regions, shape.channels)
    pooled, mean = pooled.to(device, case.features), mean.to(device, case.features)
    if case.seed % 2:
        return pooled, mean
    return pooled.transpose(1, 3).contiguous().transpose(1, 3), mean.mT.contiguous().mT


def check_region_attention_backward(
    case: Case, device: str, op: Callable[..., Sequence[Tensor]] = ops.region_attention_backward
) -> None:
    inputs = make_inputs(case, device)
    before = [bits(buffer).clone() for buffer in inputs.buffers]
    gradients = make_gradients(case, device)
    assert_gradients(case, inputs, gradients, op(*gradients, *inputs[:3]))
    for buffer, old in zip(inputs.buffers, before, strict=True):
        assert_same_bits(bits(buffer), old, "an input")


def check_region_attention_autograd(case: Case, device: str) -> None:
    inputs = make_inputs(case, device)
    leaves = [tensor.detach().requires_grad_() for tensor in inputs[:2]]
    gradients = make_gradients(case, device)
    outputs = ops.region_attention(*leaves, inputs.grid)
    assert_gradients(case, inputs, gradients, torch.autograd.grad(outputs, leaves, gradients))


def assert_gradients(
    case: Case, inputs: Inputs, gradients: tuple[Tensor, Tensor], actual: Sequence[Tensor]
) -> None:
    expected = expected_gradients(gradients, *inputs[:3])
    error = gradient_error(case.features)
    assert_close(actual[0], expected[0], case.features, error, "grad_features")
    assert_close(actual[1], expected[1], case.parameters, error, "grad_query")
    assert_layout_follows(actual[0], inputs.features)


def assert_layout_follows(gradient: Tensor, features: Tensor) -> None:
    """Dense layouts are kept; everything else becomes contiguous."""
    kept = not features.is_contiguous() and features.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if kept else torch.contiguous_format
    assert gradient.is_contiguous(memory_format=layout)


def check_nonlocal_attention(
    case: Case, device: str, op: Callable[..., Sequence[Tensor]] = ops.nonlocal_attention
) -> None:
    mean, parameters = make_mean(case, device), make_parameters(case, device)
    expected = oracle.nonlocal_attention(values(mean), oracle.NonlocalParameters(*map(values, parameters)))
    assert_nonlocal(case, op(mean, *parameters), expected, computing_error(case.features))


def assert_nonlocal(
    case: Case, actual: Sequence[Tensor], expected: oracle.NonlocalOutputs, error: float
) -> None:
    for tensor, array, what in zip(actual, expected, oracle.NonlocalOutputs._fields, strict=True):
        assert_close(tensor, array, case.parameters, error, what)
        assert tensor.is_contiguous()


def check_local_nonlocal_attention(case: Case, device: str) -> None:
    """The non-local attention may take the means before or after they are rounded to the features' type."""
    inputs, parameters = make_inputs(case, device), make_parameters(case, device)
    pooled, mean, *actual = ops.local_nonlocal_attention(*inputs[:3], *parameters)
    expected = expected_outputs(*inputs[:3])
    error = computing_error(case.features)
    assert_close(pooled, expected[0], case.features, pooling_error(case.features), "pooled")
    assert_close(mean, expected[1], case.features, error, "mean")
    expected_nonlocal = oracle.nonlocal_attention(
        expected[1], oracle.NonlocalParameters(*map(values, parameters))
    )
    assert_nonlocal(case, actual, expected_nonlocal, error + 4 * ROUNDING[case.features])


def make_nonlocal_gradients(case: Case, outputs: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of weights, affinity and context."""
    return [
        normal(case.seed + 30 + number, *output.shape).to(output) for number, output in enumerate(outputs)
    ]


def assert_parameter_gradients(
    case: Case, actual: Sequence[Tensor], expected: oracle.NonlocalParameters, error: float
) -> None:
    for tensor, array, what in zip(actual, expected, oracle.NonlocalParameters._fields, strict=True):
        assert_close(tensor, array, case.parameters, error, what)


def check_nonlocal_gradients(case: Case, device: str) -> None:
    mean, parameters = make_mean(case, device), make_parameters(case, device)
    leaves = [tensor.detach().requires_grad_() for tensor in (mean, *parameters)]
    outputs = ops.nonlocal_attention(*leaves)
    gradients = make_nonlocal_gradients(case, outputs)
    of_mean, *of_parameters = torch.autograd.grad(outputs, leaves, gradients)
    expected_mean, expected_parameters = oracle.nonlocal_attention_backward(
        oracle.NonlocalOutputs(*map(values, gradients)),
        values(mean),
        oracle.NonlocalParameters(*map(values, parameters)),
    )
    error = gradient_error(case.features)
    assert_close(of_mean, expected_mean, case.features, error, "mean")
    assert_parameter_gradients(case, of_parameters, expected_parameters, error)


def check_local_nonlocal_gradients(case: Case, device: str) -> None:
    """The chain of both oracles; in half types the means and their gradient may be rounded in between."""
    inputs, parameters = make_inputs(case, device), make_parameters(case, device)
    leaves = [tensor.detach().requires_grad_() for tensor in (*inputs[:2], *parameters)]
    outputs = ops.local_nonlocal_attention(*leaves[:2], inputs.grid, *leaves[2:])
    gradients = [*make_gradients(case, device), *make_nonlocal_gradients(case, outputs[2:])]
    of_features, of_query, *of_parameters = torch.autograd.grad(outputs, leaves, gradients)

    features, query = values(inputs.features), values(inputs.query)
    _, mean = oracle.region_attention(features, query, inputs.grid)
    expected_mean, expected_parameters = oracle.nonlocal_attention_backward(
        oracle.NonlocalOutputs(*map(values, gradients[2:])),
        mean,
        oracle.NonlocalParameters(*map(values, parameters)),
    )
    expected_features, expected_query = oracle.region_attention_backward(
        values(gradients[0]), values(gradients[1]) + expected_mean, features, query, inputs.grid
    )
    error = gradient_error(case.features) + 16 * ROUNDING[case.features]
    assert_close(of_features, expected_features, case.features, error, "features")
    assert_close(of_query, expected_query, case.parameters, error, "query")
    assert_parameter_gradients(case, of_parameters, expected_parameters, error)
