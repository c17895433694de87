"""The ops as torch sees them (schemas, fakes, gradients, tracing), and the reference behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lnlattennet.kernels import _reference as reference
from lnlattennet.kernels import (
    decompositions,
    local_nonlocal_attention,
    nonlocal_attention,
    region_attention,
)
from tests.kernels.support import oracle
from tests.kernels.support.marks import every_device, slow

BATCH, GRID, HEADS, CHANNELS, WIDTH = 3, 2, 2, 5, 4
REGIONS = GRID * GRID
TYPES = [
    (torch.float32, torch.float32),
    (torch.float64, torch.float64),
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.float32),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
OPCHECKED = [(TYPES[0], LAYOUTS[0]), (TYPES[3], LAYOUTS[1])]
"""One type for everything, and two: opcheck looks for nothing that depends on the pair of type and layout."""
ops = torch.ops.lnlattennet


def make_region(
    features: torch.dtype = torch.float32,
    parameters: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, Tensor, int]:
    """features [B, C, 6, 4] and query, both with gradients; grid."""
    values = torch.randn(BATCH, CHANNELS, 6, 4, dtype=torch.float64)
    query = torch.randn(REGIONS, HEADS, CHANNELS, dtype=torch.float64).to(parameters)
    leaf = values.to(features).contiguous(memory_format=layout)
    return leaf.requires_grad_(), query.requires_grad_(), GRID


def make_mean(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(BATCH, REGIONS, CHANNELS, dtype=torch.float64).to(dtype).requires_grad_()


def make_parameters(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    shapes = [(REGIONS, CHANNELS), *[(WIDTH, CHANNELS)] * 3, (WIDTH,), (WIDTH,)]
    return [torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def total(outputs: Sequence[Tensor]) -> Tensor:
    return torch.stack([output.double().square().sum() for output in outputs]).sum()


def arguments(
    name: str, types: tuple[torch.dtype, torch.dtype], layout: torch.memory_format, device: str
) -> tuple[Any, ...]:
    features, query, grid = make_region(*types, layout)
    call: tuple[Any, ...] = (features, query, grid)
    if name == "region_attention_backward":
        pooled, mean = reference.region_attention(features, query, grid)
        call = torch.randn_like(pooled), torch.randn_like(mean), *call
    if name == "nonlocal_attention":
        call = (make_mean(types[0]),)
    if "nonlocal" in name:
        call = (*call, *make_parameters(types[1]))
    needed = name != "region_attention_backward"
    return tuple(
        argument.detach().to(device).requires_grad_(needed) if isinstance(argument, Tensor) else argument
        for argument in call
    )


@every_device
@pytest.mark.parametrize(("types", "layout"), OPCHECKED, ids=str)
@pytest.mark.parametrize(
    "name",
    # nonlocal_attention takes no feature map: its layout is not used
    ["region_attention", "region_attention_backward", "local_nonlocal_attention", "nonlocal_attention"],
)
def test_opcheck_finds_nothing(
    name: str, types: tuple[torch.dtype, torch.dtype], layout: torch.memory_format, device: str
) -> None:
    op = getattr(ops, name).default
    results = torch.library.opcheck(op, arguments(name, types, layout, device))
    assert set(results.values()) == {"SUCCESS"}
    assert "test_aot_dispatch_dynamic" in results


def values(tensor: Tensor) -> oracle.Array:
    return np.asarray(tensor.detach().double().numpy())


@pytest.mark.parametrize("types", TYPES, ids=str)
def test_the_reference_equals_plain_loops(types: tuple[torch.dtype, torch.dtype]) -> None:
    features, query, grid = make_region(*types)
    parameters = make_parameters(types[1])
    actual = reference.local_nonlocal_attention(features, query, grid, *parameters)
    assert [output.dtype for output in actual] == [types[0]] * 2 + [types[1]] * 3
    pooled, mean = oracle.region_attention(values(features), values(query), grid)
    expected = (
        pooled,
        mean,
        *oracle.nonlocal_attention(mean, oracle.NonlocalParameters(*map(values, parameters))),
    )
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}
    for output, loops in zip(actual, expected, strict=True):
        np.testing.assert_allclose(values(output), loops, atol=tolerance[types[0]], rtol=tolerance[types[0]])


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_gradients_of_the_reference_equal_autograd(layout: torch.memory_format) -> None:
    features, query, grid = make_region(torch.float64, torch.float64, layout)
    outputs = reference.region_attention(features, query, grid)
    gradients = torch.randn_like(outputs[0]), torch.randn_like(outputs[1])
    actual = reference.region_attention_backward(*gradients, features, query, grid)
    torch.testing.assert_close(actual, torch.autograd.grad(outputs, (features, query), gradients))
    assert actual[0].is_contiguous(memory_format=layout)

    mean, parameters = make_mean(torch.float64), make_parameters(torch.float64)
    nonlocal_outputs = reference.nonlocal_attention(mean, *parameters)
    incoming = [torch.randn_like(output) for output in nonlocal_outputs]
    formula = reference.nonlocal_attention_backward(incoming, mean, *parameters)
    torch.testing.assert_close(formula, torch.autograd.grad(nonlocal_outputs, (mean, *parameters), incoming))


def test_tracing_names_the_broken_rule() -> None:
    """Fakes check what the implementations check; test_input_errors.py has all the rules."""
    features, query, grid = make_region()
    features, query = features.to("meta"), query.to("meta")
    with pytest.raises(ValueError, match="6x4 positions cannot be cut into a 3x3 grid"):
        ops.region_attention(features, query, 3)
    parameters = [tensor.to("meta") for tensor in make_parameters()]
    with pytest.raises(ValueError, match=r"position must be \[4, 5\], got \[4, 4\]"):
        ops.local_nonlocal_attention(features, query, grid, parameters[0][:, 1:], *parameters[1:])
    with pytest.raises(ValueError, match=r"key_weight must be \[4, 5\], got \[3, 5\]"):
        ops.nonlocal_attention(make_mean().to("meta"), *parameters[:2], parameters[2][1:], *parameters[3:])


def test_a_frozen_feature_extractor_costs_no_memory_for_gradients() -> None:
    features, query, grid = make_region()
    features, query, parameters = features.detach(), query.detach(), make_parameters()
    kept: list[torch.Size] = []

    def keep(saved: Tensor) -> Tensor:
        kept.append(saved.shape)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        outputs = local_nonlocal_attention(features, query, grid, *parameters)
    assert features.shape not in kept
    gradients = torch.autograd.grad(total(outputs[2:]), parameters[1:])
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_nonlocal_attention_has_second_derivatives_and_the_regions_refuse_theirs() -> None:
    mean, parameters = make_mean(torch.float64), make_parameters(torch.float64)
    assert torch.autograd.gradgradcheck(nonlocal_attention, (mean, *parameters))
    features, query, grid = make_region()
    pooled, _ = region_attention(features, query, grid)
    (gradient,) = torch.autograd.grad(pooled.square().sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="has no second derivative"):
        gradient.sum().backward()  # type: ignore[no-untyped-call]


def test_autocast_changes_neither_results_nor_gradients() -> None:
    features, query, grid = make_region(torch.bfloat16, torch.float32)
    leaves = (features, query, *(parameters := make_parameters()))

    def run() -> list[Tensor]:
        outputs = local_nonlocal_attention(features, query, grid, *parameters)
        return [*outputs, *torch.autograd.grad(total(outputs), leaves)]

    plain = run()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = run()
    torch.testing.assert_close(mixed, plain, rtol=0, atol=0)


def test_an_empty_batch_gives_empty_outputs_and_zero_gradients() -> None:
    features, query, grid = make_region()
    empty, parameters = features.detach()[:0].requires_grad_(), make_parameters()
    outputs = local_nonlocal_attention(empty, query, grid, *parameters)
    assert [len(output) for output in outputs] == [0] * 5
    gradients = torch.autograd.grad(total(outputs), (empty, query, *parameters))
    assert gradients[0].shape == empty.shape
    assert not any(gradient.any() for gradient in gradients[1:])


def test_the_flop_counter_counts_forward_and_backward() -> None:
    features, query, grid = make_region()
    counter = FlopCounterMode(display=False)
    with counter:
        pooled, mean = region_attention(features, query, grid)
        (pooled.sum() + mean.sum()).backward()  # type: ignore[no-untyped-call]
    assert counter.get_total_flops() == (2 + 5) * 2 * features.numel() * HEADS


@slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler calls what torch deprecated
def test_compiled_graphs_take_any_batch_and_give_the_same_gradients() -> None:
    def loss(features: Tensor, query: Tensor, *parameters: Tensor) -> Tensor:
        return total(local_nonlocal_attention(features * 2, query, GRID, *parameters))

    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    _, query, _ = make_region(torch.float64, torch.float64)
    parameters = make_parameters(torch.float64)
    for batch in (2, 5):
        features = torch.randn(batch, CHANNELS, 6, 4, dtype=torch.float64, requires_grad=True)
        leaves = (features, query, *parameters)
        expected, actual = loss(*leaves), compiled(*leaves)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, leaves), torch.autograd.grad(expected, leaves))


@slow
def test_all_of_this_also_holds_for_the_reference() -> None:
    """The tests of this file that are not slow, in a process where compiled kernels are switched off."""
    # Without the project's pytest configuration, which imports what these tests do without.
    plain = [
        "--noconftest",
        "-c",
        os.devnull,
        "--rootdir=.",
        "--import-mode=importlib",
        "-p",
        "no:schemathesis",
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        *plain,
        __file__,
    ]
    environment = os.environ | {"LNLATTENNET_KERNELS": "reference", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@slow
# A deprecation inside torch's exporter.
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_a_network_with_the_operators_is_exported_to_onnx_by_their_decompositions(tmp_path: Path) -> None:
    import onnxruntime

    class Own(torch.nn.Module):
        def forward(self, features: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
            return region_attention(features, query, GRID)

    inputs = torch.randn(BATCH, CHANNELS, 4, 6), torch.randn(REGIONS, HEADS, CHANNELS)
    program = torch.export.export(Own(), inputs).run_decompositions(decompositions())
    torch.onnx.export(program, dynamo=True, verbose=False, f=tmp_path / "own.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx")
    names = [node.name for node in session.get_inputs()]
    answers = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    for answer, expected in zip(answers, Own()(*inputs), strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_the_decompositions_cover_every_public_operator() -> None:
    assert {str(op) for op in decompositions()} == {
        f"lnlattennet.{name}.default"
        for name in ("local_nonlocal_attention", "nonlocal_attention", "region_attention")
    }
