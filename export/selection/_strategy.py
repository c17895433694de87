"""Which engine that passed serves: a strategy, medians, and whether their difference means anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lnlattennet._statistics import Estimate, median_interval, ratio_interval
from lnlattennet.errors import GateError
from lnlattennet.runtimes._precision import PRECISIONS
from lnlattennet.runtimes._registry import backend_named

STRATEGIES = ("min-latency", "max-throughput", "latency-budget")


@dataclass(frozen=True)
class Contender:
    """An engine that passed the gate, and its timed calls; all contenders were timed in the same rounds.

    Attributes:
        samples: batch size -> milliseconds of every timed call.
    """

    name: str
    backend: str
    precision: str
    samples: Mapping[int, list[float]]

    @property
    def complexity(self) -> tuple[int, int]:
        """Orders engines from simple to complex: by precision, then by what their runtime needs."""
        return PRECISIONS.index(self.precision), backend_named(self.backend).INFO.complexity


@dataclass(frozen=True)
class Selection:
    """The engine that serves, and the sentence that justifies it."""

    name: str
    because: str


@dataclass(frozen=True)
class _Rated:
    """A contender at the batch size that it is judged at."""

    contender: Contender
    batch: int

    @property
    def per_face(self) -> list[float]:
        return [value / self.batch for value in self.contender.samples[self.batch]]

    @property
    def median(self) -> float:
        return median_interval(self.per_face).value

    def times_as_long_as(self, other: _Rated) -> Estimate:
        return ratio_interval(self.per_face, other.per_face)

    def figure(self, strategy: str) -> str:
        median, low, high = median_interval(self.contender.samples[self.batch])
        latency = f"{median:.2f} ms [{low:.2f}, {high:.2f}] at batch {self.batch}"
        return (
            latency if strategy == "min-latency" else f"{1000 * self.batch / median:.0f} faces/s, {latency}"
        )


def select(contenders: list[Contender], strategy: str, budget_ms: float | None = None) -> Selection:
    """Choose by a strategy; among engines whose difference is not significant the simplest is taken.

    Args:
        contenders: one or more engines, timed at the same batch sizes.
        strategy: ``min-latency``: the lowest median at the smallest batch; ``max-throughput``: the most faces
            per second at any timed batch; ``latency-budget``: the same, among the batches whose median is,
            with 95% confidence, within the budget.
        budget_ms: milliseconds per call, for ``latency-budget``.

    Raises:
        GateError: no engine keeps the budget; names the fastest.
    """
    rated = [item for contender in contenders if (item := _rate(contender, strategy, budget_ms))]
    if not rated:
        raise GateError(_over_budget(contenders, budget_ms))
    fastest = min(rated, key=lambda item: item.median)
    equal = [item for item in rated if item is fastest or item.times_as_long_as(fastest)[1] <= 1]
    chosen = min(equal, key=lambda item: item.contender.complexity)
    figure = chosen.figure(strategy) + (f", within {budget_ms:g} ms" if budget_ms is not None else "")
    if chosen is fastest:
        return Selection(chosen.contender.name, _why_fastest(fastest, rated, strategy, figure))
    ratio, low, high = chosen.times_as_long_as(fastest)
    return Selection(
        chosen.contender.name,
        f"{figure}: no significant difference from {fastest.contender.name}, the fastest (its time is "
        f"{ratio:.2f} times as long, 95% interval {low:.2f} to {high:.2f}), and it is the simpler engine",
    )


def _rate(contender: Contender, strategy: str, budget_ms: float | None) -> _Rated | None:
    """Find the batch size that a strategy judges an engine at; None if it cannot keep the budget."""
    sizes = sorted(contender.samples)
    if strategy == "min-latency":
        return _Rated(contender, sizes[0])
    limit = math.inf if budget_ms is None else budget_ms
    allowed = [size for size in sizes if median_interval(contender.samples[size]).high <= limit]
    return min((_Rated(contender, size) for size in allowed), key=lambda item: item.median, default=None)


def _over_budget(contenders: list[Contender], budget_ms: float | None) -> str:
    smallest = [_Rated(contender, min(contender.samples)) for contender in contenders]
    fastest = min(smallest, key=lambda item: item.median)
    return (
        f"--latency-budget {budget_ms:g}ms: no engine that passed the gate keeps it; the fastest, "
        f"{fastest.contender.name}, takes {fastest.figure('min-latency')}; allow more, or give other "
        "precisions or backends"
    )


def _why_fastest(fastest: _Rated, rated: list[_Rated], strategy: str, figure: str) -> str:
    title = "lowest median latency" if strategy == "min-latency" else "most faces per second"
    others = []
    for item in rated:
        if item is not fastest:
            ratio, low, high = item.times_as_long_as(fastest)
            others.append(f"{item.contender.name} takes {ratio:.2f} times as long [{low:.2f}, {high:.2f}]")
    return f"{title}: {figure} ({'; '.join(others) or 'the only engine that passed'})"
