"""Latency of several things in one interleaved run, so that a drifting machine is fair to all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Runner
from lnlattennet.model.names import INPUT_NAME

WARM_UP_CALLS = 10


def usable_threads() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def interleaved_calls(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time every call once per round, in turn; return every duration in milliseconds.

    Args:
        calls: name -> what is timed; it returns when its answer is there.
        rounds: counted calls of each, after ``WARM_UP_CALLS`` that are not.
    """
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for index in range(rounds):
        # The first of a round may pay for what ran before it, so each takes its turn at being first.
        offset = index % len(names) if names else 0
        for name in names[offset:] + names[:offset]:
            start = time.perf_counter_ns()
            calls[name]()
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    return samples


def engine_latency(
    runners: Mapping[str, Runner], faces: NDArray[np.float32], rounds: int
) -> dict[str, list[float]]:
    """Time engines, name -> runner, on one batch of faces [B, 3, S, S]; see ``interleaved_calls``."""
    inputs = {INPUT_NAME: faces}
    return interleaved_calls({name: partial(runner, inputs) for name, runner in runners.items()}, rounds)
