"""Timing of calls as CUDA graphs with events, and the kernels that they launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Work on the GPU.

    Attributes:
        calls: how many calls one ``replay`` queues on the current stream.
    """

    calls: int

    def replay(self) -> None:
        """Queue it."""


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


def graph_turn(graph: Replayable) -> Turn:
    """Time a graph, or what takes its place; a replay that is not counted goes first."""
    start, end = _event(), _event()
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
    """Return the names of what one call makes the GPU do: kernels, copies and fills."""
    call(features)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        call(features)
        torch.cuda.synchronize()
    on_gpu = [event for event in recorded.events() or () if event.device_type.name == "CUDA"]
    return [event.name for event in on_gpu]


def copy_bandwidth() -> tuple[float, list[float]]:
    """Return the bytes per second, read and written, of a large copy on the GPU, and every sample."""
    source = torch.ones(COPY_BYTES // 4, device="cuda")
    graph = Graph(torch.empty_like(source).copy_, [source])
    turn = graph_turn(graph)
    samples = sorted(turn() for _ in range(COPIES))
    return 2 * COPY_BYTES / samples[len(samples) // 2], samples


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
