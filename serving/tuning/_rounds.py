"""Rounds of a search: every candidate takes a turn, and the better half goes on to the next round."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._scheduling import Scheduling
from lnlattennet.serving.tuning._load import Sample

Objective = Literal["throughput", "latency"]
"""Answers a second with the most requests in flight; or the median latency with the fewest."""

ROUNDS = 3

_LEAST_GAIN = 1.03
"""A smaller gain over the default is not worth a deployment that differs."""


@dataclass(frozen=True)
class Turn:
    """One start of a server, and the load on it.

    Attributes:
        load_average: the machine's before it: what else ran.
        start_seconds: until the server answered.
        samples: one for each number of requests in flight.
    """

    load_average: float
    start_seconds: float
    samples: list[Sample]

    def score(self, objective: Objective) -> float:
        """Return what the objective makes largest."""
        by_load = sorted(self.samples, key=lambda sample: sample.in_flight)
        if objective == "throughput":
            return by_load[-1].rate
        return 1 / float(np.median(by_load[0].latencies_ms))


@dataclass
class Trial:
    """A candidate and its turns, one a round for as long as it went on.

    Attributes:
        refused: why it cannot be chosen; "" if it can.
    """

    scheduling: Scheduling
    turns: list[Turn] = field(default_factory=list)
    refused: str = ""

    def score(self, objective: Objective) -> float:
        """Return the median of its turns' scores."""
        return float(np.median([turn.score(objective) for turn in self.turns]))


def number_of_turns(candidates: int) -> int:
    """Return how many turns the rounds take if no candidate is refused."""
    turns = 0
    for _ in range(ROUNDS):
        turns += candidates
        candidates = _half(candidates)
    return turns


def run_rounds(
    candidates: Sequence[Scheduling],
    measure: Callable[[Scheduling], Turn],
    objective: Objective,
    deadline: float,
) -> list[Trial]:
    """Give every candidate a turn, and the better halves further ones, in random order.

    Args:
        candidates: what to compare, the default first; it goes on whatever its score.
        measure: takes a turn; a ServingError refuses the candidate.
        objective: what is better.
        deadline: of ``time.monotonic``; no further round begins after it.
    """
    trials, shuffled = [Trial(candidate) for candidate in candidates], random.Random()  # noqa: S311
    left = list(trials)
    for number in range(ROUNDS):
        if number and time.monotonic() > deadline:
            break
        for trial in shuffled.sample(left, len(left)):
            try:
                trial.turns.append(measure(trial.scheduling))
            except ServingError as error:
                trial.refused = str(error)
        left = [trial for trial in left if not trial.refused]
        left.sort(key=lambda trial: (trial is not trials[0], -trial.score(objective)))
        left = left[: _half(len(left))]
    return trials


def choose(trials: Sequence[Trial], objective: Objective) -> Trial:
    """Return the best trial; the default, unless another was better in every round, of two at least.

    Raises:
        ServingError: all were refused.
    """
    default, able = trials[0], [trial for trial in trials if not trial.refused]
    if not able:
        raise ServingError(f"no candidate serves this bundle here, the default neither: {default.refused}")
    most = max(len(trial.turns) for trial in able)
    finalists = [trial for trial in able if len(trial.turns) == most]
    if not default.refused:
        finalists = [trial for trial in finalists if _is_better(trial, default, objective)] or [default]
    return max(finalists, key=lambda trial: trial.score(objective))


def _is_better(trial: Trial, default: Trial, objective: Objective) -> bool:
    pairs = zip(trial.turns, default.turns, strict=True)
    ratios = [turn.score(objective) / other.score(objective) for turn, other in pairs]
    # One round may have met a slow spell of the machine.
    return len(ratios) > 1 and min(ratios) > 1 and float(np.median(ratios)) >= _LEAST_GAIN


def _half(candidates: int) -> int:
    """Return how many of so many candidates go on: the default and one more at least."""
    return max(min(candidates, 2), (candidates + 1) // 2)
