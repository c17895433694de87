"""Threads on the CPU: as many as torch.set_num_threads says, and the answer does not depend on how many."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.kernels.support.cases import Case, Shape, make_inputs, make_parameters
from tests.kernels.support.checks import make_gradients, ops
from tests.kernels.support.comparison import assert_same_bits
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout

# Large enough for several threads: 7 images of 16 regions, 64 channels.
SHAPE = Shape(batch=7, grid=4, heads=2, channels=64, rows=7, columns=7, width=16)
every_layout = pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
every_type = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str
)

COUNT_THREADS = """
import os, sys, torch, lnlattennet.kernels

torch.set_num_threads(1)  # until the input is there: filling it would start threads
features, query = torch.ones(16, 64, 56, 56), torch.ones(16, 1, 64)
torch.ops.lnlattennet.region_attention(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1), 1)
torch.set_num_threads(int(sys.argv[1]))
before = len(os.listdir("/proc/self/task"))
pooled, mean = torch.ops.lnlattennet.region_attention(features, query, 4)
torch.ops.lnlattennet.region_attention_backward(pooled, mean, features, query, 4)
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def answers(case: Case, threads: int) -> tuple[list[Tensor], Tensor]:
    """Return the outputs that have an entry per image, and the query's gradient, a sum over the images."""
    torch.set_num_threads(threads)
    features, query, grid, _ = make_inputs(case, "cpu")
    outputs = ops.local_nonlocal_attention(features, query, grid, *make_parameters(case, "cpu"))
    backward = ops.region_attention_backward(*make_gradients(case, "cpu"), features, query, grid)
    return [*outputs, backward[0]], backward[1]


@every_layout
@every_type
def test_the_number_of_threads_does_not_change_the_answer(dtype: torch.dtype, layout: Layout) -> None:
    case = Case(SHAPE, dtype, dtype, layout)
    expected, expected_sum = answers(case, 1)
    for threads in (2, 3):
        actual, actual_sum = answers(case, threads)
        for tensor, same in zip(actual, expected, strict=True):
            assert_same_bits(tensor, same, f"with {threads} threads")
        # Partial sums of the threads are added in another order.
        torch.testing.assert_close(actual_sum, expected_sum)


@every_layout
@every_type
def test_the_same_number_of_threads_gives_the_same_sums(dtype: torch.dtype, layout: Layout) -> None:
    case = Case(SHAPE, dtype, dtype, layout)
    _, expected = answers(case, 2)
    for _ in range(5):
        assert_same_bits(answers(case, 2)[1], expected, "the query's gradient")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux to count threads")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_threads_run_as_torch_was_told(threads: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(threads)],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == threads - 1
