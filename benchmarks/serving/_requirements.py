"""Figures that serving should reach, taken from a record's samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lnlattennet._statistics import FEWEST_FOR_P99, Estimate, ratio_of_starts, student_interval, tail_interval
from lnlattennet.benchmarks.harness._record import WARM, ExperimentResult, Record, RequirementResult
from lnlattennet.benchmarks.serving._measure import EIGHT, ONE
from lnlattennet.benchmarks.serving._peer_servers import FASTAPI, Peer

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
_MEMORY_OVER_EARLIER = 0.6


def requirements(record: Record) -> list[RequirementResult]:
    """Return every figure that the record's samples allow."""
    cases = {case.name: case for case in record.cases}
    rates: Mapping[str, Mapping[str, Sequence[float]]] = record.facts.get("requests_per_second", {})
    memory = _memory_over_earlier(record.facts.get("servers", {}))
    return [*_over_earlier(cases), *_hops(cases), *_tails(cases), *_over_peer(rates), *memory]


def _over_earlier(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for image, bound in _OVER_EARLIER.items():
        name = f"{image}, {ONE}"
        wanted = RequirementResult(
            text="p50 over the earlier version's",
            case=name,
            state=WARM,
            bound=bound,
            upper=True,
            against=EARLIER,
        )
        own, earlier = (_rounds(cases.get(name), target) for target in (FUSED, EARLIER))
        yield wanted.with_value(*ratio_of_starts(own, earlier)) if own and earlier else wanted


def _hops(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for name, case in cases.items():
        here = _rounds(case, HERE)
        for target, bound in _HOP_US.items():
            served = _rounds(case, target)
            if here and served:
                hop = RequirementResult(
                    text=f"p50 of {target} minus that in process, microseconds",
                    case=name,
                    bound=bound,
                    upper=True,
                )
                yield hop.with_value(*_difference(served, here))


def _rounds(case: ExperimentResult | None, target: str) -> list[Sequence[float]]:
    """Return the microseconds of a target's requests, those of each round apart; none if it took no part.

    The requests of a round share the machine's pace of that moment, so rounds are the sample, not requests.
    """
    timing = case.timing(target) if case else None
    if case is None or timing is None:
        return []
    return [part.tolist() for part in np.array_split(timing.samples_us, int(case.config["rounds"]))]


def _difference(
    served: Sequence[Sequence[float]], here: Sequence[Sequence[float]]
) -> Estimate | tuple[float]:
    """Return the mean difference of the rounds' medians and, of several rounds, its 95% interval."""
    differences = np.array([np.median(a) - np.median(b) for a, b in zip(served, here, strict=True)])
    return student_interval(differences) if len(differences) > 1 else (float(differences[0]),)


def _tails(cases: Mapping[str, ExperimentResult]) -> Iterator[RequirementResult]:
    for name, case in cases.items():
        for target, result in case.candidates.items():
            if target.startswith(_OWN):
                tail = RequirementResult(text=f"p99 over p50 of {target}", case=name, bound=_TAIL, upper=True)
                samples = result.timings[WARM].samples_us
                enough = len(samples) >= FEWEST_FOR_P99
                yield tail.with_value(*tail_interval(samples)) if enough else tail


def _over_peer(rates: Mapping[str, Mapping[str, Any]]) -> Iterator[RequirementResult]:
    for name, by_target in rates.items():
        own = {target: by_target[target] for target in by_target if target.startswith(_OWN)}
        if EIGHT not in name or PEER not in by_target or not own:
            continue
        best = max(own, key=lambda target: float(np.median(own[target])))
        # What the cores do without a server tells how much any server could reach.
        for target in (best, *({BARE} & by_target.keys())):
            # Each round is a sample of one rate.
            own_rates, peer_rates = ([[rate] for rate in by_target[name]] for name in (target, PEER))
            ratio = ratio_of_starts(own_rates, peer_rates)
            text = f"requests a second of {target} over FastAPI's"
            yield RequirementResult(text=text, case=name, bound=_OVER_PEER, against=PEER).with_value(*ratio)


def _memory_over_earlier(servers: Mapping[str, Mapping[str, float]]) -> Iterator[RequirementResult]:
    if "earlier" not in servers:
        return
    for key, whose in (
        ("memory_bytes", "all processes"),
        ("largest_peak_bytes", "the largest process, peak"),
    ):
        wanted = RequirementResult(
            text=f"memory of {whose}, over the earlier version's",
            case="after all cases",
            bound=_MEMORY_OVER_EARLIER,
            upper=True,
            against=EARLIER,
        )
        yield wanted.with_value(servers["this version"][key] / servers["earlier"][key])
