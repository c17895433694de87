"""The portable CUDA kernels on an emulated GPU, against the float64 oracle.

The emulation (cuda_emulation/) compiles the same .cu files with g++ and runs every CUDA thread as a fiber, in
an order drawn from a seed. What this proves: the kernels' arithmetic, indexing, memory bounds and alignment
(under AddressSanitizer, in buffers of exact size); that no barrier is missing where another order of threads
would tell; that every barrier is reached by all threads; and that nothing is read before it is written
(shared memory starts as NaN). What it does not prove: PTX, the GPU's memory model (a missing fence goes
unnoticed), register use, speed.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.kernels.cuda_emulation.emulator import (
    BACKWARD,
    FORWARD,
    NONLOCAL,
    Device,
    EmulationError,
    Emulator,
    Launch,
)
from tests.kernels.support import oracle
from tests.kernels.support.cases import DTYPES, Case, Shape, make_inputs, make_mean, make_parameters
from tests.kernels.support.checks import make_gradients
from tests.kernels.support.comparison import assert_close, assert_same_bits, computing_error, values
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, LAYOUTS, Layout, place
from tests.kernels.support.marks import slow

pytestmark = [slow, pytest.mark.timeout(900)]

# batch, grid, heads, channels, rows and columns of a region, non-local width. Channels: one lane, odd,
# several lanes, a whole warp, more than a warp holds. Regions: P = 1, fewer and more positions than are in
# flight.
SHAPES = [
    Shape(0, 2, 1, 8, 3, 3, width=4),
    Shape(3, 1, 1, 1, 1, 1, width=1),
    Shape(2, 2, 3, 3, 2, 4, width=5),
    Shape(2, 2, 1, 8, 1, 1, width=3),
    Shape(1, 4, 2, 37, 2, 3, width=8),
    Shape(1, 4, 1, 64, 7, 7, width=32),
    Shape(2, 1, 2, 96, 5, 3, width=7),
    Shape(1, 2, 1, 256, 3, 4, width=16),
    Shape(1, 1, 3, 600, 2, 2, width=9),
    Shape(1, 1, 1, 16, 17, 13, width=2),
]
# The layouts that are read as they stand; the binding copies the others.
READABLE = [layout for layout in LAYOUTS if not layout.name.startswith(("strided", "rows-", "batch-"))]
CASES = [
    Case(shape, *types, layout, seed=11)
    for (shape, layout), types in zip(
        [(shape, layout) for shape in SHAPES for layout in (CHANNELS_LAST, CONTIGUOUS)] * 2,
        cycle(DTYPES),
        strict=False,
    )
]
LAYOUT_CASES = [
    Case(Shape(2, 2, 1, 24, 2, 4, width=4), *types, layout, seed=number)
    for number, (layout, types) in enumerate(zip(READABLE, cycle(DTYPES), strict=False))
]
DEVICE = Device()
BIG = Case(Shape(1, 2, 3, 64, 7, 6, width=12), torch.float16, torch.float32)


def forward(
    emulator: Emulator, case: Case, *, with_nonlocal: bool = True, seed: int = 0, device: Device = DEVICE
) -> list[Tensor]:
    """pooled, mean and (flat) weights, affinity, context."""
    shape = case.shape
    inputs = make_inputs(case, "cpu")
    arrays = [
        inputs.features,
        inputs.query.contiguous(),
        *(make_parameters(case, "cpu") if with_nonlocal else []),
    ]
    width = shape.width if with_nonlocal else 0
    actual = emulator.run(Launch(FORWARD, arrays, shape.grid, shape.heads, width, seed=seed, device=device))
    regions = shape.grid**2
    pooled = actual[0].view(shape.batch, regions, shape.heads, shape.channels)
    return [pooled, actual[1].view(shape.batch, regions, shape.channels), *actual[2:]]


def check_forward(case: Case, actual: list[Tensor]) -> None:
    inputs = make_inputs(case, "cpu")
    expected = oracle.region_attention(values(inputs.features), values(inputs.query), inputs.grid)
    for tensor, array, what in zip(actual, expected, ("pooled", "mean"), strict=False):
        assert_close(tensor, array, case.features, computing_error(case.features), what)


def check_nonlocal(case: Case, mean: Tensor, actual: list[Tensor]) -> None:
    parameters = oracle.NonlocalParameters(*map(values, make_parameters(case, "cpu")))
    expected = oracle.nonlocal_attention(values(mean), parameters)
    for tensor, array, what in zip(actual, expected, ("weights", "affinity", "context"), strict=True):
        assert_close(tensor.view(array.shape), array, case.parameters, computing_error(case.features), what)


def backward(emulator: Emulator, case: Case, *, seed: int = 0, device: Device = DEVICE) -> list[Tensor]:
    """grad_features and grad_query's part of every image."""
    shape = case.shape
    inputs = make_inputs(case, "cpu")
    last = CHANNELS_LAST if inputs.features.stride(1) == 1 else CONTIGUOUS
    gradient, _ = place(torch.zeros(inputs.features.shape), last)
    arrays = [
        inputs.features,
        inputs.query.contiguous(),
        *(g.contiguous() for g in make_gradients(case, "cpu")),
    ]
    strides = gradient.stride()
    launch = Launch(
        BACKWARD, arrays, shape.grid, shape.heads, gradient_strides=strides, seed=seed, device=device
    )
    flat, partial = emulator.run(launch)
    regions = shape.grid**2
    return [
        flat.as_strided(gradient.shape, strides) if shape.batch else flat.view(gradient.shape),
        partial.view(shape.batch, regions, shape.heads, shape.channels),
    ]


def check_backward(case: Case, actual: list[Tensor]) -> None:
    inputs = make_inputs(case, "cpu")
    gradients = make_gradients(case, "cpu")
    grad_pooled, grad_mean, features, query = map(values, (*gradients, inputs.features, inputs.query))
    expected = oracle.region_attention_backward(grad_pooled, grad_mean, features, query, inputs.grid)
    accumulated = torch.float64 if case.features == torch.float64 else torch.float32
    error = 2 * computing_error(case.features)
    assert_close(actual[0], expected[0], case.features, error, "grad_features")
    assert_close(actual[1].sum(dim=0), expected[1], accumulated, error, "grad_query")


@pytest.mark.parametrize("case", [*CASES, *LAYOUT_CASES], ids=str)
def test_forward_with_its_epilogue_equals_plain_loops(emulator: Emulator, case: Case) -> None:
    actual = forward(emulator, case)
    check_forward(case, actual)
    check_nonlocal(case, actual[1], actual[2:])


@pytest.mark.parametrize("case", [*CASES, *LAYOUT_CASES], ids=str)
def test_backward_equals_plain_loops(emulator: Emulator, case: Case) -> None:
    check_backward(case, backward(emulator, case))


@pytest.mark.parametrize("shape", [*SHAPES, Shape(1, 5, 1, 30, 1, 1, width=40)], ids=str)
@pytest.mark.parametrize("types", DTYPES[::2], ids=str)
def test_nonlocal_attention_alone_equals_plain_loops(
    emulator: Emulator, shape: Shape, types: tuple[torch.dtype, torch.dtype]
) -> None:
    case = Case(shape, *types)
    mean, parameters = make_mean(case, "cpu"), make_parameters(case, "cpu")
    unused = torch.zeros(1, dtype=case.parameters)
    actual = emulator.run(
        Launch(NONLOCAL, [mean, unused, *parameters], shape.grid, nonlocal_width=shape.width)
    )
    check_nonlocal(case, mean, actual[2:])


def test_without_nonlocal_attention_nothing_but_pooled_and_mean_is_written(emulator: Emulator) -> None:
    actual = forward(emulator, BIG, with_nonlocal=False)
    check_forward(BIG, actual)
    assert [tensor.numel() for tensor in actual[2:]] == [0, 0, 0]


@pytest.mark.parametrize("layout", [CHANNELS_LAST, CONTIGUOUS], ids=str)
def test_results_are_the_same_bits_in_any_order_of_threads(emulator: Emulator, layout: Layout) -> None:
    case = Case(BIG.shape, BIG.features, BIG.parameters, layout)
    for run in (forward, backward):
        first, *others = [run(emulator, case, seed=seed) for seed in range(6)]
        for other in others:
            for tensor, expected in zip(other, first, strict=True):
                assert_same_bits(tensor, expected, f"{run.__name__} of another seed")


@pytest.mark.parametrize("layout", [CHANNELS_LAST, CONTIGUOUS], ids=str)
@pytest.mark.parametrize("sharpness", [1e4, -1e4])
def test_scores_of_ten_thousand_do_not_overflow(emulator: Emulator, layout: Layout, sharpness: float) -> None:
    case = Case(Shape(1, 2, 1, 4, 3, 4), layout=layout, sharpness=sharpness)
    check_forward(case, forward(emulator, case))
    check_backward(case, backward(emulator, case))


@pytest.mark.parametrize("layout", [CHANNELS_LAST, CONTIGUOUS], ids=str)
def test_a_nan_stays_in_its_region_and_channel(emulator: Emulator, layout: Layout) -> None:
    case = Case(Shape(2, 2, 1, 16, 3, 4, width=4), layout=layout)
    inputs = make_inputs(case, "cpu")
    clean = forward(emulator, case, with_nonlocal=False)
    inputs.features[1, 5, 4, 1] = float("nan")  # region 2 of image 1
    launch = Launch(FORWARD, [inputs.features, inputs.query.contiguous()], 2, 1)
    pooled, mean = (
        tensor.view(old.shape) for tensor, old in zip(emulator.run(launch), clean[:2], strict=False)
    )
    assert pooled[1, 2].isnan().all()
    assert mean[1, 2].isnan().nonzero().flatten().tolist() == [5]
    for tensor, old, place_of in ((pooled, clean[0], (1, 2)), (mean, clean[1], (1, 2, 5))):
        tensor[place_of] = old[place_of]
        assert_same_bits(tensor, old, "the other regions and channels")


def test_a_band_too_large_for_shared_memory_takes_the_kernels_for_any_strides(emulator: Emulator) -> None:
    small = Device(shared_bytes=24 * 1024)
    case = Case(Shape(1, 1, 2, 5, 80, 80, width=2), layout=CONTIGUOUS)
    check_forward(case, forward(emulator, case, device=small))
    check_backward(case, backward(emulator, case, device=small))


@pytest.mark.parametrize("heads", [2, 40])
def test_backward_reads_queries_from_memory_where_they_do_not_fit(emulator: Emulator, heads: int) -> None:
    case = Case(Shape(1, 1, heads, 256, 1, 3), torch.float16, torch.float32, CHANNELS_LAST)
    check_backward(case, backward(emulator, case))


def test_a_width_too_large_for_shared_memory_works_in_scratch(emulator: Emulator) -> None:
    case = Case(Shape(2, 2, 1, 8, 2, 2, width=1100))
    actual = forward(emulator, case)
    check_forward(case, actual)
    check_nonlocal(case, actual[1], actual[2:])


@pytest.mark.parametrize("layout", [CHANNELS_LAST, CONTIGUOUS], ids=str)
def test_a_width_that_fits_blocks_of_few_threads_only_overflows_no_larger_one(
    emulator: Emulator, layout: Layout
) -> None:
    """A block of 256 threads has room for it in 48 KiB, one of 320 has not."""
    case = Case(Shape(1, 4, 1, 372, 2, 2, width=128), layout=layout)
    actual = forward(emulator, case)
    check_forward(case, actual)
    check_nonlocal(case, actual[1], actual[2:])


def test_every_number_of_blocks_takes_the_threads_that_suit_it(emulator: Emulator) -> None:
    for processors in (1, 8, 400):
        case = Case(Shape(2, 2, 1, 64, 6, 6, width=4), torch.float16, torch.float16, CHANNELS_LAST)
        actual = forward(emulator, case, device=Device(processors=processors))
        check_forward(case, actual)
        check_nonlocal(case, actual[1], actual[2:])


def test_clusters_are_refused_where_the_gpu_has_none(emulator: Emulator) -> None:
    inputs = make_inputs(BIG, "cpu")
    arrays = [inputs.features, inputs.query.contiguous()]
    with pytest.raises(EmulationError, match="thread block clusters"):
        emulator.run(Launch(FORWARD, arrays, BIG.shape.grid, BIG.shape.heads, variant="cluster_bands"))


def test_the_emulation_notices_every_mistake_of_the_probes(emulator: Emulator) -> None:
    right = np.roll(np.arange(64), -1)
    assert (emulator.probe("correct", seed=0)[0].numpy() == right).all()
    assert any((emulator.probe("missing_barrier", seed)[0].numpy() != right).any() for seed in range(3))
    assert emulator.probe("unwritten_memory", seed=0)[0].isnan().sum() == 1
    with pytest.raises(EmulationError, match=r"deadlock: not all threads reach \[__syncthreads"):
        emulator.probe("skipped_barrier", seed=0)
    with pytest.raises(EmulationError, match="heap-buffer-overflow"):
        emulator.probe("outside", seed=0)
