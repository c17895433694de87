"""Interleaved timing: every candidate runs once in each round.

The machine may drift, and a call may profit or suffer from the one before it: so every round calls every
candidate once, in a new random order, and no sample is left out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

Turn = Callable[[], float]
"""One timed call of a candidate; returns its seconds."""


def interleave(
    turns: Mapping[str, Turn], rounds: int, most_rounds: int = 0, seconds: float = 0.0
) -> dict[str, list[float]]:
    """Give every candidate one turn a round, in random order; return every sample.

    Args:
        turns: name -> turn.
        rounds: minimum number of rounds.
        most_rounds: maximum number of rounds, if larger.
        seconds: time after which no further round begins, once there are ``rounds``.
    """
    order, shuffled = list(turns), random.Random()  # noqa: S311 - an order, not a secret
    samples: dict[str, list[float]] = {name: [] for name in turns}
    deadline = time.monotonic() + seconds
    for index in range(max(rounds, most_rounds)):
        if index >= rounds and time.monotonic() >= deadline:
            break
        shuffled.shuffle(order)
        for name in order:
            samples[name].append(turns[name]())
    return samples
