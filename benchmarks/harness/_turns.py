"""Turns of calls on the host and of CUDA graphs, and the kernels that a call launches."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from lnlattennet._interleave import Turn

WARM_UP_CALLS = 3
HEAD_START_CYCLES = 200_000
"""The GPU idles about 0.1 ms, in which the host gets graph and events queued: the host is not measured."""
HEAD_START_CYCLES_PER_CALL = 20_000

COPY_BYTES = 2**31
COPIES = 20


class Replayable(Protocol):
    """Prepared calls that have their inputs.

    Attributes:
        calls: how many calls one ``replay`` queues on the current stream.
        outputs: what the last call gave, once the GPU is done.
    """

    calls: int
    outputs: Any

    def replay(self) -> None:
        """Queue the calls; on a CPU they are done when it returns."""


class Graph:
    """Calls captured one after the other; ``outputs`` holds what the last of them gave after a replay."""

    def __init__(self, call: Callable[[Tensor], Any], inputs: Sequence[Tensor]) -> None:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                call(inputs[0])
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        self.calls = len(inputs)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            for features in inputs:
                self.outputs = call(features)

    def replay(self) -> None:
        """Queue the captured calls."""
        self._graph.replay()


def host_turn(
    call: Callable[[Tensor], object],
    inputs: Sequence[Tensor],
    around: AbstractContextManager[None] | None = None,
) -> Turn:
    """Time a call that is done when it returns; each turn takes the next of the inputs in a circle.

    A call that is not counted goes first, since the candidate before it may have put threads to sleep and
    code out of the cache.

    Args:
        call: what is timed.
        inputs: its arguments.
        around: entered before the counted call and left after it, such as a ``Tally``; it is not timed.
    """
    circle, around = itertools.cycle(inputs), around or nullcontext()

    def turn() -> float:
        call(next(circle))
        features = next(circle)
        with around:
            start = time.perf_counter_ns()
            call(features)
            return (time.perf_counter_ns() - start) / 1e9

    return turn


def graph_turn(graph: Replayable) -> Turn:
    """Time a graph, or what takes its place; a replay that is not counted goes first."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    head_start = HEAD_START_CYCLES + graph.calls * HEAD_START_CYCLES_PER_CALL

    def turn() -> float:
        graph.replay()
        torch.cuda._sleep(head_start)  # type: ignore[no-untyped-call]
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / graph.calls

    return turn


def launches(call: Callable[[Tensor], Any], features: Tensor) -> list[str]:
    """Return the names of the kernels, copies and fills that one call starts on the GPU."""
    call(features)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        call(features)
        torch.cuda.synchronize()
    return [event.name for event in recorded.events() or () if event.device_type.name == "CUDA"]


def copy_bandwidth() -> tuple[float, list[float]]:
    """Return the bytes per second, read and written, of a large copy on the GPU, and every sample."""
    source = torch.ones(COPY_BYTES // 4, device="cuda")
    turn = graph_turn(Graph(torch.empty_like(source).copy_, [source]))
    samples = sorted(turn() for _ in range(COPIES))
    return 2 * COPY_BYTES / samples[len(samples) // 2], samples
