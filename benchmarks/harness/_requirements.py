"""Ratios of median times, compared with what is required of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.harness._record import ExperimentResult, RequirementResult

STEADY = 0.3
"""Widest 95% interval of a required ratio, as a share of the ratio, that counts as steady."""


def with_ratio(
    required: RequirementResult, case: ExperimentResult | None, subject: str, candidates: Iterable[str]
) -> RequirementResult:
    """Enter a ratio with its 95% interval, if subject and a candidate were measured.

    Args:
        required: not measured yet; for an upper bound the ratio is the other way round.
        case: the experiment, if it was run.
        subject: the candidate whose speed is required.
        candidates: the time of the fastest of them, divided by the subject's, is the ratio.
    """
    own = case.timing(subject, required.state) if case else None
    timings = {name: case.timing(name, required.state) for name in candidates} if case else {}
    known = {name: timing for name, timing in timings.items() if timing}
    if own is None or not known:
        return required
    fastest = min(known, key=lambda name: known[name].median_us)
    pair = known[fastest].samples_us, own.samples_us
    ratio = ratio_interval(*(pair[::-1] if required.upper else pair))
    return dataclasses.replace(required.with_value(*ratio), against=fastest)


def unsteady(results: Iterable[RequirementResult]) -> list[str]:
    """Name the required figures whose interval is too wide to state them."""
    return [
        " ".join(f"{row.text}, {row.case} {row.state}".split())
        for row in results
        if row.bound is not None and row.value and row.interval
        and row.interval[1] - row.interval[0] > STEADY * row.value
    ]  # fmt: skip
