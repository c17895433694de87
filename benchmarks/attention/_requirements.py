"""Ratios that the fused op must reach, on a CPU and on a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.attention._candidates import COMPILED, EAGER, FUSED, MASKED, ONE_ELEMENT, READ
from lnlattennet.benchmarks.attention._cases import SHAPES, Case
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, RequirementResult
from lnlattennet.benchmarks.harness._requirements import Requirement

BEST = (*COMPILED, MASKED)
OVER_BEST = "over the best of compile and masked SDPA"
COPY_RATE = "copy_bytes_per_second"


def requirements(device: str) -> list[Requirement]:
    """Return what a device must reach; a requirement without candidates compares with a copy on the GPU."""
    return list(_cuda_requirements() if device == "cuda" else _cpu_requirements())


def requirement_results(record: Record) -> list[RequirementResult]:
    """Return every requirement with its value, 95% interval and status.

    ``at_read_rate`` is what a fused op would reach that takes no longer than F.sum().
    """
    cases = {case.name: case for case in record.cases}
    results = [_result(item, cases.get(item.case), record) for item in requirements(record.device)]
    return results + (list(_launches(cases)) if record.device == "cuda" else [])


def _ratio(
    text: str, case: Case, state: str, bound: float | None, *candidates: str, upper: bool = False
) -> Requirement:
    return Requirement(text, case.name, state, bound, FUSED, candidates, upper)


def _cpu_requirements() -> Iterator[Requirement]:
    for state in ("warm", "cold"):
        for batch, eager, best in ((8, 6, 2), (64, 25, 5)):
            yield _ratio("over eager", Case(batch), state, eager, EAGER)
            yield _ratio(OVER_BEST, Case(batch), state, best, *BEST)
        yield _ratio("share of what F.sum() reads per second", Case(64), state, 0.7, READ)
        for batch in (8, 64):
            yield _ratio("over eager", Case(batch, layout="contiguous"), state, 3, EAGER)
            yield _ratio("over eager", Case(batch, backward=True), state, 3, EAGER)
            yield _ratio("over eager", Case(batch, nonlocal_attention=True), state, None, EAGER)


def _cuda_requirements() -> Iterator[Requirement]:
    for channels, side in SHAPES:
        yield _ratio("share of the copy bandwidth", Case(256, channels, side, "float16"), "cold", 0.85)
    for channels, side in SHAPES:
        case, text = Case(1, channels, side, "float16"), "time over a one-element kernel's"
        yield _ratio(text, case, "launch", 1.5, ONE_ELEMENT, upper=True)
        yield _ratio(text, case, "warm", None, ONE_ELEMENT, upper=True)
    for channels, side in SHAPES:
        for batch in (1, 8, 32, 256):
            for state in ("launch", "cold"):
                yield _ratio(OVER_BEST, Case(batch, channels, side, "float16"), state, 1, *BEST)


def _result(item: Requirement, case: ExperimentResult | None, record: Record) -> RequirementResult:
    fused = case.timing(FUSED, item.state) if case else None
    if case is None or fused is None:
        return item.unmeasured
    if not item.candidates:
        copy_us = case.config["traffic_bytes"] / record.facts[COPY_RATE] * 1e6
        value, *interval = ratio_interval([copy_us] * len(fused.samples_us), fused.samples_us)
        return item.unmeasured.with_value(value, (interval[0], interval[1]))
    result, read = item.result(case), case.timing(READ, item.state)
    fastest = case.timing(result.against, item.state)
    if read and fastest and read is not fastest and not item.upper and not case.config["backward"]:
        return dataclasses.replace(result, at_read_rate=fastest.median_us / read.median_us)
    return result


def _launches(cases: dict[str, ExperimentResult]) -> Iterator[RequirementResult]:
    """One launch does it all, with and without the non-local attention."""
    half = [Case(1, dtype="float16"), Case(1, 256, 28, "float16")]
    for case in (*half, Case(1, dtype="float16", nonlocal_attention=True)):
        result = RequirementResult(text="launches", case=case.name, bound=1, upper=True)
        measured = cases.get(case.name)
        launches = measured.candidates[FUSED].launches if measured else ()
        # The profiler sees nothing where it may not read the GPU's counters: then this is open.
        yield result.with_value(len(launches)) if launches else result
