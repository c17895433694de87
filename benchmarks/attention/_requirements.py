"""Ratios that the fused op must reach, on a CPU and on a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.attention._candidates import COMPILED, EAGER, FUSED, MASKED, ONE_ELEMENT, READ
from lnlattennet.benchmarks.attention._cases import SHAPES, Case
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, RequirementResult

BEST = (*COMPILED, MASKED)
OVER_BEST = "over the best of compile and masked SDPA"
COPY_RATE = "copy_bytes_per_second"

Requirement = tuple[RequirementResult, tuple[str, ...]]
"""Required figure, and the candidates with which the fused op is compared; empty: a copy on the GPU."""


def requirements(device: str) -> list[Requirement]:
    """Return what a device must reach."""
    return list(_cuda_requirements() if device == "cuda" else _cpu_requirements())


def requirement_results(record: Record) -> list[RequirementResult]:
    """Return every requirement with its value, 95% interval and status.

    ``at_read_rate`` is what a fused op would reach that takes no longer than F.sum().
    """
    cases = {case.name: case for case in record.cases}
    results = [
        _result(required, candidates, cases.get(required.case), record)
        for required, candidates in requirements(record.device)
    ]
    return results + (list(_launches(cases)) if record.device == "cuda" else [])


def _require(
    text: str, case: Case, state: str, bound: float | None, *candidates: str, upper: bool = False
) -> Requirement:
    return RequirementResult(text=text, case=case.name, state=state, bound=bound, upper=upper), candidates


def _cpu_requirements() -> Iterator[Requirement]:
    for state in ("warm", "cold"):
        for batch, eager, best in ((8, 6, 2), (64, 25, 5)):
            yield _require("over eager", Case(batch), state, eager, EAGER)
            yield _require(OVER_BEST, Case(batch), state, best, *BEST)
        yield _require("share of what F.sum() reads per second", Case(64), state, 0.7, READ)
        for batch in (8, 64):
            yield _require("over eager", Case(batch, layout="contiguous"), state, 3, EAGER)
            yield _require("over eager", Case(batch, backward=True), state, 3, EAGER)
            yield _require("over eager", Case(batch, nonlocal_attention=True), state, None, EAGER)


def _cuda_requirements() -> Iterator[Requirement]:
    for channels, side in SHAPES:
        yield _require("share of the copy bandwidth", Case(256, channels, side, "float16"), "cold", 0.85)
    for channels, side in SHAPES:
        case, text = Case(1, channels, side, "float16"), "time over a one-element kernel's"
        yield _require(text, case, "launch", 1.5, ONE_ELEMENT, upper=True)
        yield _require(text, case, "warm", None, ONE_ELEMENT, upper=True)
    for channels, side in SHAPES:
        for batch in (1, 8, 32, 256):
            for state in ("launch", "cold"):
                yield _require(OVER_BEST, Case(batch, channels, side, "float16"), state, 1, *BEST)


def _result(
    required: RequirementResult, candidates: tuple[str, ...], case: ExperimentResult | None, record: Record
) -> RequirementResult:
    fused = case.timing(FUSED, required.state) if case else None
    if case is None or fused is None:
        return required
    if not candidates:
        copy_us = case.config["traffic_bytes"] / record.facts[COPY_RATE] * 1e6
        return required.with_value(*ratio_interval([copy_us] * len(fused.samples_us), fused.samples_us))
    result = required.with_ratio(case, FUSED, candidates)
    read, fastest = case.timing(READ, required.state), case.timing(result.against, required.state)
    if read and fastest and result.against != READ and not required.upper and not case.config["backward"]:
        return dataclasses.replace(result, at_read_rate=fastest.median_us / read.median_us)
    return result


def _launches(cases: dict[str, ExperimentResult]) -> Iterator[RequirementResult]:
    """Yield the requirements that the op is one launch, with and without the non-local attention."""
    half = [Case(1, dtype="float16"), Case(1, 256, 28, "float16")]
    for case in (*half, Case(1, dtype="float16", nonlocal_attention=True)):
        result = RequirementResult(text="launches", case=case.name, bound=1, upper=True)
        measured = cases.get(case.name)
        launches = measured.candidates[FUSED].launches if measured else ()
        # The profiler sees nothing where it may not read the GPU's counters: then this is open.
        yield result.with_value(len(launches)) if launches else result
