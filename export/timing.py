"""Latency of several engines in one interleaved run, so that a drifting machine is fair to all."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Runner
from lnlattennet.model.names import INPUT_NAME

WARM_UP_CALLS = 5


def usable_threads() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def interleaved_latency(
    runners: Mapping[str, Runner], faces: NDArray[np.float32], rounds: int
) -> dict[str, list[float]]:
    """Time one call of each runner per round, in turn; return every sample in milliseconds.

    Args:
        runners: name -> engine.
        faces: the batch [B, 3, S, S] of every call.
        rounds: samples per engine.
    """
    inputs = {INPUT_NAME: faces}
    for runner in runners.values():
        for _ in range(WARM_UP_CALLS):
            runner(inputs)
    samples: dict[str, list[float]] = {name: [] for name in runners}
    names = list(runners)
    for index in range(rounds):
        # The first of a round may pay for what ran before it, so each takes its turn at being first.
        offset = index % len(names) if names else 0
        for name in names[offset:] + names[:offset]:
            start = time.perf_counter_ns()
            runners[name](inputs)
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    return samples
