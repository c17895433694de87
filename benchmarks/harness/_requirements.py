"""Requirements on ratios of median times."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.harness._record import ExperimentResult, RequirementResult

STEADY = 0.3
"""Widest 95% interval of a required ratio, as a share of the ratio, that counts as steady."""


@dataclass(frozen=True)
class Requirement:
    """A bound on the ratio of two median times in one case.

    Attributes:
        text: what is compared.
        case: name of the case.
        state: state of the caches.
        bound: what the ratio is compared with; None: nothing is required, the ratio is of interest.
        subject: the candidate whose speed is required.
        candidates: the time of the fastest of them, divided by the subject's, is the ratio.
        upper: the bound is the largest allowed ratio, and the ratio is the other way round.
    """

    text: str
    case: str
    state: str
    bound: float | None
    subject: str
    candidates: tuple[str, ...]
    upper: bool = False

    @property
    def unmeasured(self) -> RequirementResult:
        """The result while there is no figure."""
        return RequirementResult(
            text=self.text, case=self.case, state=self.state, bound=self.bound, upper=self.upper
        )

    def result(self, case: ExperimentResult | None) -> RequirementResult:
        """Return the ratio with its 95% interval, if subject and a candidate were measured."""
        if case is None:
            return self.unmeasured
        subject = case.timing(self.subject, self.state)
        timings = {name: timing for name in self.candidates if (timing := case.timing(name, self.state))}
        if subject is None or not timings:
            return self.unmeasured
        fastest = min(timings, key=lambda name: timings[name].median_us)
        pair = timings[fastest].samples_us, subject.samples_us
        value, *interval = ratio_interval(*(pair[::-1] if self.upper else pair))
        low, high = interval
        return dataclasses.replace(self.unmeasured.with_value(value, (low, high)), against=fastest)


def unsteady(results: Iterable[RequirementResult]) -> list[str]:
    """Name the required figures whose interval is too wide to state them."""
    return [
        " ".join(f"{row.text}, {row.case} {row.state}".split())
        for row in results
        if row.bound is not None and row.value and row.interval
        and row.interval[1] - row.interval[0] > STEADY * row.value
    ]  # fmt: skip
