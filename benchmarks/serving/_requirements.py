"""Figures that serving should reach, taken from a record's samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from lnlattennet._statistics import ratio_interval, tail_interval
from lnlattennet.benchmarks.harness._record import WARM, ExperimentResult, Record, RequirementResult, Timing
from lnlattennet.benchmarks.serving._measure import EIGHT, ONE
from lnlattennet.benchmarks.serving._targets import FASTAPI, Peer

FUSED, ENSEMBLE, EARLIER, HERE, BARE = (
    "fused, gRPC",
    "ensemble, gRPC",
    "earlier fused, gRPC",
    "in process",
    "no server",
)


def over_http(peer: Peer) -> str:
    """Return what tables call a peer."""
    return f"{peer.name}, HTTP"


PEER = over_http(FASTAPI)

_OWN = ("fused", "ensemble")
"""How the names of this version's targets begin."""

_OVER_EARLIER = {"512": 0.55, "1080p": 0.42, "24 MP": 0.3}
_HOP_US = {FUSED: 1000.0, ENSEMBLE: 1800.0}
_TAIL = 2.5
_OVER_PEER = 2.2


def requirements(record: Record) -> list[RequirementResult]:
    """Return every figure that the record's samples allow."""
    cases = {case.name: case for case in record.cases}
    rates: Mapping[str, Mapping[str, Sequence[float]]] = record.facts.get("requests_per_second", {})
    return [*_over_earlier(cases), *_hops(cases), *_tails(cases), *_over_peer(rates)]


def _over_earlier(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for image, bound in _OVER_EARLIER.items():
        name = f"{image}, {ONE}"
        wanted = RequirementResult(
            text="p50 over the earlier version's", case=name, state=WARM, bound=bound, upper=True
        )
        yield wanted.with_ratio(cases.get(name), FUSED, [EARLIER])


def _hops(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for name, case in cases.items():
        here = case.timing(HERE)
        for target, bound in _HOP_US.items():
            served = case.timing(target)
            if here and served:
                hop = RequirementResult(
                    text=f"p50 of {target} minus that in process, microseconds",
                    case=name,
                    bound=bound,
                    upper=True,
                )
                yield hop.with_value(*_difference(served, here, int(case.config["rounds"])))


def _difference(served: Timing, here: Timing, rounds: int) -> tuple[float, ...]:
    """Return the mean difference of a round's medians and, of several rounds, its 95% interval.

    The requests of a round share the machine's pace of that moment, so rounds are the sample, not requests.
    """
    medians = [
        np.array([np.median(part) for part in np.array_split(timing.samples_us, rounds)])
        for timing in (served, here)
    ]
    differences = medians[0] - medians[1]
    mean = float(differences.mean())
    if rounds == 1:
        return (mean,)
    reach = stats.t.ppf(0.975, rounds - 1) * differences.std(ddof=1) / rounds**0.5
    return mean, float(mean - reach), float(mean + reach)


def _tails(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for name, case in cases.items():
        for target, result in case.candidates.items():
            if target.startswith(_OWN):
                tail = RequirementResult(text=f"p99 over p50 of {target}", case=name, bound=_TAIL, upper=True)
                yield tail.with_value(*tail_interval(result.timings[WARM].samples_us))


def _over_peer(rates: Mapping[str, Mapping[str, Any]]) -> Iterator[RequirementResult]:
    for name, by_target in rates.items():
        own = {target: by_target[target] for target in by_target if target.startswith(_OWN)}
        if EIGHT not in name or PEER not in by_target or not own:
            continue
        best = max(own, key=lambda target: float(np.median(own[target])))
        # What the cores do without a server tells how much any server could reach.
        for target in (best, *({BARE} & by_target.keys())):
            ratio = ratio_interval(by_target[target], by_target[PEER])
            text = f"requests a second of {target} over FastAPI's"
            yield RequirementResult(text=text, case=name, bound=_OVER_PEER, against=PEER).with_value(*ratio)
