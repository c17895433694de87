"""Durations of rival calls from one run in which they take turns, and what to say of the samples.

The machine may drift, and a call may profit or suffer from the one before it: so every round calls every
rival once, in a new random order, and no sample is left out.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

Turn = Callable[[], float]
"""One turn of a rival; returns the seconds that one of its calls took."""


def host_turn(call: Callable[[Tensor], object], inputs: Sequence[Tensor]) -> Turn:
    """Time a call that is done when it returns; each turn takes the next of the inputs in a circle.

    A call that is not counted goes first, since the rival before it may have put threads to sleep and
    code out of the cache.
    """
    circle = itertools.cycle(inputs)

    def turn() -> float:
        call(next(circle))
        features = next(circle)
        start = time.perf_counter_ns()
        call(features)
        return (time.perf_counter_ns() - start) / 1e9

    return turn


def interleave(turns: Mapping[str, Turn], seconds: float, rounds: tuple[int, int]) -> dict[str, list[float]]:
    """Give every rival one turn a round, in random order; return every sample in seconds.

    Args:
        turns: name -> turn.
        seconds: when a new round is begun no more.
        rounds: the fewest and the most rounds, whatever the seconds say.
    """
    fewest, most = rounds
    order, shuffled = list(turns), random.Random(0)  # noqa: S311 - an order, not a secret
    samples: dict[str, list[float]] = {name: [] for name in turns}
    deadline = time.monotonic() + seconds
    for index in range(most):
        if index >= fewest and time.monotonic() >= deadline:
            break
        shuffled.shuffle(order)
        for name in order:
            samples[name].append(turns[name]())
    return samples


def summarize(samples: Sequence[float]) -> dict[str, float]:
    """Return median, p10 and p90 of seconds, in microseconds."""
    p10, median, p90 = np.percentile(samples, [10, 50, 90]) * 1e6
    return {"median_us": float(median), "p10_us": float(p10), "p90_us": float(p90)}
