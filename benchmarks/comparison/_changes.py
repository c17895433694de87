"""What changed between two records of one benchmark, and whether it may be chance or the machine.

Two runs differ although nothing changed: a new process lays its memory out anew, which alone makes an engine
some percent faster or slower, and the machine is hotter or busier. So the unit is not a call but a start: one
process of every candidate, in which they take turns. A record needs several.

A candidate counts as changed if both its time and its time over the other candidates' changed. The first
alone would blame it for a slower machine; the second alone would call it slower when another became faster.

Where other programs took a share of the machine, times differ by that share, from start to start too, and
hide a change. They hit all candidates of a start alike, so the time over the others' then decides alone. It
must have changed over each of them, so that one that became faster makes no other slower.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import Estimate, log_medians
from lnlattennet.benchmarks.harness._samples import Starts

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
"""Case, candidate and state of the caches."""
Verdict = Literal["slower", "faster", "no significant difference", "too few starts", "too busy to tell"]

_DECIDED: tuple[Verdict, ...] = ("slower", "faster", "no significant difference")

FEWEST_STARTS = 3
"""Starts of a record below which nothing is known of how much two starts differ."""

_FALSE_ALARMS = {True: 0.05, False: 0.01}
"""Whether times count -> probability that an interval of any of a record's subjects is beyond it by chance.

Smaller where the ratio decides alone: two conditions hold together more rarely.
"""


@dataclass(frozen=True)
class Change:
    """Change of one candidate from an old to a new record.

    Attributes:
        case: name of the case.
        candidate: name of the candidate.
        state: state of the caches.
        subject: whether it is the first candidate of its case: what the benchmark is about.
        ratio: its new time over its old one.
        controlled: the same for its time over the others' of the same start; None where there are no others.
        verdict: whether what decides is beyond the tolerance.
    """

    case: str
    candidate: str
    state: str
    subject: bool
    ratio: Estimate
    controlled: Estimate | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; the ends of an interval that nothing bounds are null."""
        ratios = {
            name: ratio
            and {key: number if 0 < number < math.inf else None for key, number in ratio._asdict().items()}
            for name, ratio in (("ratio", self.ratio), ("controlled", self.controlled))
        }
        return vars(self) | ratios


@dataclass(frozen=True)
class _Times:
    """Logarithms of a candidate's median time in each start, and of that over each other candidate's."""

    own: Floats
    over: Mapping[str, Floats]
    subject: bool


def changes(old: Starts, new: Starts, tolerance: float = 0.0, *, quiet: bool = True) -> list[Change]:
    """Compare every candidate that both records have.

    Args:
        old: samples of the older record.
        new: samples of the newer record.
        tolerance: change that counts as none, such as 0.05 for 5%.
        quiet: whether times can be trusted: no record says that other programs took a share of its machine.

    Returns:
        A change for each. The intervals of all subjects hold at once with 95% probability, and with 99% if
        ``quiet`` is false.
    """
    before, after = _times(old), _times(new)
    keys = [key for key in before if key in after]
    tail = _FALSE_ALARMS[quiet] / 2 / max(1, sum(after[key].subject for key in keys))
    margin = math.log1p(tolerance)
    return [_change(key, before[key], after[key], tail, margin, quiet=quiet) for key in keys]


def unjudged(old: Starts, found: Sequence[Change]) -> list[str]:
    """Return the cases of the older record whose subject got no verdict, each with the reason."""
    verdicts = {(change.case, change.candidate, change.state): change.verdict for change in found}
    reasons = []
    for case, candidates in old.items():
        for subject, states in itertools.islice(candidates.items(), 1):
            if not states:
                reasons.append(f"{subject} in {case}: not measured in the old record")
            for state in states:
                verdict = verdicts.get((case, subject, state), "not in the new record")
                if verdict not in _DECIDED:
                    reasons.append(f"{subject} in {case}, {state}: {verdict}")
    return reasons


def _times(record: Starts) -> dict[Key, _Times]:
    found: dict[Key, _Times] = {}
    for case, candidates in record.items():
        medians: dict[str, dict[str, Floats]] = {}
        for name, states in candidates.items():
            for state, starts in states.items():
                medians.setdefault(state, {})[name] = log_medians(starts)
        subject = next(iter(candidates), "")
        for state, timings in medians.items():
            for name, own in timings.items():
                found[case, name, state] = _Times(own, _over_each(name, timings), name == subject)
    return found


def _over_each(name: str, timings: Mapping[str, Floats]) -> dict[str, Floats]:
    own = timings[name]
    return {
        other: own - values for other, values in timings.items() if other != name and len(values) == len(own)
    }


def _change(key: Key, before: _Times, after: _Times, tail: float, tolerance: float, *, quiet: bool) -> Change:
    others = [other for other in before.over if other in after.over]
    ratio, controlled = _difference(before.own, after.own, tail), None
    if others:
        controlled = _difference(_over(before, others), _over(after, others), tail)
    if min(len(before.own), len(after.own)) < FEWEST_STARTS:
        verdict: Verdict = "too few starts"
    elif quiet:
        verdict = _verdict([ratio, controlled] if controlled else [ratio], tolerance)
    elif controlled:
        each = (float(after.over[other].mean() - before.over[other].mean()) for other in others)
        verdict = _verdict([controlled, *(Estimate(value, value, value) for value in each)], tolerance)
    else:
        verdict = "too busy to tell"
    return Change(*key, after.subject, _exp(ratio), _exp(controlled) if controlled else None, verdict)


def _over(times: _Times, others: Sequence[str]) -> Floats:
    return np.asarray(np.median([times.over[other] for other in others], axis=0))


def _exp(change: Estimate) -> Estimate:
    return Estimate(*(math.exp(value) for value in change))


def _verdict(found: Sequence[Estimate], tolerance: float) -> Verdict:
    if all(change.low > tolerance for change in found):
        return "slower"
    if all(change.high < -tolerance for change in found):
        return "faster"
    return "no significant difference"


def _difference(before: Floats, after: Floats, tail: float) -> Estimate:
    """Return the difference of two means with Welch's interval; ``tail`` is the probability beyond each end.

    Source: Welch, "The generalization of Student's problem when several different population variances are
    involved", Biometrika 34, 1947.
    """
    from scipy.stats import t

    value = float(after.mean() - before.mean())
    if min(len(before), len(after)) < 2:
        return Estimate(value, -math.inf, math.inf)
    parts = [values.var(ddof=1) / len(values) for values in (before, after)]
    variance = sum(parts)
    if variance == 0:
        return Estimate(value, value, value)
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (before, after), strict=True)
    )
    margin = float(t.isf(tail, freedom)) * math.sqrt(variance)
    return Estimate(value, value - margin, value + margin)
