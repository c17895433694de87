"""Required figures of the soak."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet.benchmarks.harness._record import RequirementResult
from lnlattennet.benchmarks.serving.soak._load import Tally
from lnlattennet.benchmarks.serving.soak._resources import Holding, growth
from lnlattennet.benchmarks.serving.soak._visitor import KINDS

_WARM_UP = 0.4
"""Share of the rounds after which memory must be flat: allocators have seen every size by then."""

_MOST_GROWTH = 0.05
_MOST_AFTER_LARGE = 1.1

_MOST_MORE = 8
"""Descriptors: one leaked by each broken client would be hundreds; a probe may have a few open."""


@dataclass(frozen=True)
class Findings:
    """What a soak found.

    Attributes:
        tally: what the visitors met.
        holdings: what the server held after each round, the warm-up's included.
        after_large: what it held after the large batches at the end.
        counters: of the supervisor.
        left: what was still there when the server had stopped.
    """

    tally: Tally
    holdings: Sequence[Holding]
    after_large: Holding
    counters: Mapping[str, float]
    left: Mapping[str, Sequence[Any]]

    def facts(self) -> dict[str, Any]:
        """Return all of it for the record."""
        return {
            "visits": dict(self.tally.done),
            "messages": self.tally.messages,
            "holdings": [vars(holding) for holding in self.holdings],
            "after_large": vars(self.after_large),
            "supervisor": dict(self.counters),
            "left_behind": dict(self.left),
        }

    @property
    def warm(self) -> Sequence[Holding]:
        """What the server held after the warm-up."""
        return self.holdings[int(len(self.holdings) * _WARM_UP) :]


def requirements(findings: Findings) -> list[RequirementResult]:
    """Return the required figures beside those of a run."""
    tally, warm = findings.tally, findings.warm
    memory = [holding.memory_bytes for holding in warm]

    def more(held: Callable[[Holding], int]) -> int:
        """Return how many more there are at the end, by the medians of the first and the last half."""
        values, half = [held(holding) for holding in warm], len(warm) // 2
        return int(np.median(values[half:]) - np.median(values[:half]))

    figures = {
        "wrong answers": (0, tally.wrong),
        "requests without the answer that is due": (0, tally.failed),
        "kinds of visits that never happened": (0, len(KINDS.keys() - tally.done.keys())),
        "growth of memory after the warm-up, as a share": (_MOST_GROWTH, growth(memory)),
        "memory after large batches over that before": (
            _MOST_AFTER_LARGE,
            findings.after_large.memory_bytes / float(np.median(memory)),
        ),
        "more descriptors after the warm-up": (_MOST_MORE, more(lambda holding: holding.descriptors)),
        "more shared memory segments": (0, more(lambda holding: holding.segments)),
        "more temporary folders": (0, more(lambda holding: holding.folders)),
        "more processes": (0, more(lambda holding: holding.processes)),
        **{f"{name} of the supervisor": (0, value) for name, value in findings.counters.items()},
        **{f"{name} left behind": (0, len(left)) for name, left in findings.left.items()},
    }
    return [
        RequirementResult(text=text, case="soak", bound=bound, upper=True).with_value(float(value))
        for text, (bound, value) in figures.items()
    ]
