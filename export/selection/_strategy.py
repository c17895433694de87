"""Selection of the engine that serves, by a strategy, medians and the significance of their difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lnlattennet._statistics import Estimate, median_interval, ratio_interval
from lnlattennet.bundle._export_options import SelectionOptions
from lnlattennet.errors import GateError
from lnlattennet.export._candidate import Candidate
from lnlattennet.runtimes._precision import PRECISIONS
from lnlattennet.runtimes._registry import backend_named


@dataclass(frozen=True)
class Selection:
    """Engine that serves, and the sentence that justifies the choice."""

    name: str
    because: str


def select(candidates: list[Candidate], options: SelectionOptions) -> Selection:
    """Choose by a strategy; among engines whose difference is not significant the simplest is taken.

    Args:
        candidates: one or more engines that passed, timed at the same batch sizes in the same rounds.
        options: ``min-latency``: the lowest median at the smallest batch, among equals at larger ones;
            ``max-throughput``: the most faces per second at any timed batch; ``latency-budget``: the same,
            among the batches whose median is, with 95% confidence, within the budget.

    Raises:
        GateError: no engine keeps the budget; the message names the fastest.
    """
    rated = [_Rating(item, size) for item in candidates if (size := _batch_size(item, options))]
    if not rated:
        raise GateError(_over_budget(candidates, options.budget_ms))
    fastest = _fastest(rated)
    equal = as_fast = _as_fast_as_the_fastest(rated)
    if options.strategy == "min-latency":
        for batch in sorted(fastest.candidate.samples)[1:]:
            as_fast = _as_fast_as_the_fastest([_Rating(item.candidate, batch) for item in as_fast])
    names = {item.name for item in as_fast}
    chosen = min((item for item in equal if item.name in names), key=lambda item: item.complexity)
    budget = "" if options.budget_ms is None else f", within {options.budget_ms:g} ms"
    figure = chosen.figure(options.strategy) + budget
    if chosen is fastest:
        return Selection(chosen.name, _why_fastest(fastest, rated, options.strategy, figure))
    ratio, low, high = chosen.times_as_long_as(fastest)
    why = "it is the simpler engine" if fastest.name in names else "it is faster in larger batches"
    return Selection(
        chosen.name,
        f"{figure}: no significant difference from {fastest.name}, the fastest (its time is "
        f"{ratio:.2f} times as long, 95% interval {low:.2f} to {high:.2f}), and {why}",
    )


@dataclass(frozen=True)
class _Rating:
    """Candidate at the batch size that it is rated at."""

    candidate: Candidate
    batch: int

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def complexity(self) -> tuple[int, int]:
        """Orders engines from simple to complex: by precision, then by what their runtime needs."""
        record = self.candidate.record
        return PRECISIONS.index(record.precision), backend_named(record.backend).INFO.complexity

    @property
    def per_face(self) -> list[float]:
        return [value / self.batch for value in self.candidate.samples[self.batch]]

    @property
    def median(self) -> float:
        return median_interval(self.per_face).value

    def times_as_long_as(self, other: _Rating) -> Estimate:
        return ratio_interval(self.per_face, other.per_face)

    def figure(self, strategy: str) -> str:
        median, low, high = median_interval(self.candidate.samples[self.batch])
        latency = f"{median:.2f} ms [{low:.2f}, {high:.2f}] at batch {self.batch}"
        return (
            latency if strategy == "min-latency" else f"{1000 * self.batch / median:.0f} faces/s, {latency}"
        )


def _fastest(rated: list[_Rating]) -> _Rating:
    return min(rated, key=lambda item: item.median)


def _as_fast_as_the_fastest(rated: list[_Rating]) -> list[_Rating]:
    """Return the engines that are not significantly slower than the fastest."""
    fastest = _fastest(rated)
    return [item for item in rated if item is fastest or item.times_as_long_as(fastest).low <= 1]


def _batch_size(candidate: Candidate, options: SelectionOptions) -> int | None:
    """Return the batch size that an engine is rated at; None if it cannot keep the budget."""
    sizes = sorted(candidate.samples)
    if options.strategy == "min-latency":
        return sizes[0]
    limit = math.inf if options.budget_ms is None else options.budget_ms
    allowed = [size for size in sizes if median_interval(candidate.samples[size]).high <= limit]
    return min(allowed, key=lambda size: _Rating(candidate, size).median, default=None)


def _over_budget(candidates: list[Candidate], budget_ms: float | None) -> str:
    fastest = _fastest([_Rating(candidate, min(candidate.samples)) for candidate in candidates])
    return (
        f"--latency-budget {budget_ms:g}ms: no engine that passed the gate keeps it; the fastest, "
        f"{fastest.name}, takes {fastest.figure('min-latency')}; allow more, or give other "
        "precisions or backends"
    )


def _why_fastest(fastest: _Rating, rated: list[_Rating], strategy: str, figure: str) -> str:
    title = "lowest median latency" if strategy == "min-latency" else "most faces per second"
    others = []
    for item in rated:
        if item is not fastest:
            ratio, low, high = item.times_as_long_as(fastest)
            others.append(f"{item.name} takes {ratio:.2f} times as long [{low:.2f}, {high:.2f}]")
    return f"{title}: {figure} ({'; '.join(others) or 'the only engine that passed'})"
