"""The ratios that the fused op must reach, and what a record says of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.attention._candidates import COMPILED, EAGER, FUSED, MASKED, ONE_ELEMENT, READ
from lnlattennet.benchmarks.attention._cases import SHAPES, Case

BEST = (*COMPILED, MASKED)
STEADY = 0.3
"""Widest 95% interval of a required ratio, as a share of the ratio, that counts as steady."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Requirement:
    """A bound on a ratio of median times in one case.

    Attributes:
        text: what is compared.
        case: where.
        state: "launch", "warm" or "cold"; what the state of the cache is.
        bound: what the value is compared with; None: nothing is required, the value is of interest.
        rivals: the fastest of them, over the fused op, is the value. Empty: the fused op's bytes per second
            over those of a copy on the GPU.
        upper: the bound is the largest, not the smallest, and the ratio the other way round.
    """

    text: str
    case: Case
    state: str
    bound: float | None
    rivals: tuple[str, ...] = ()
    upper: bool = False


def requirements(device: str) -> list[Requirement]:
    """Return what a device must reach."""
    return list(_cuda_requirements() if device == "cuda" else _cpu_requirements())


def _cpu_requirements() -> Iterator[Requirement]:
    for state in ("warm", "cold"):
        for batch, eager, best in ((8, 6, 2), (64, 25, 5)):
            yield Requirement("over eager", Case(batch), state, eager, (EAGER,))
            yield Requirement("over the best of compile and masked SDPA", Case(batch), state, best, BEST)
        yield Requirement("share of what F.sum() reads per second", Case(64), state, 0.7, (READ,))
        for batch in (8, 64):
            yield Requirement("over eager", Case(batch, layout="contiguous"), state, 3, (EAGER,))
            yield Requirement("over eager", Case(batch, backward=True), state, 3, (EAGER,))
            yield Requirement("over eager", Case(batch, tail=True), state, None, (EAGER,))


def _cuda_requirements() -> Iterator[Requirement]:
    for channels, side in SHAPES:
        case = Case(256, channels, side, "float16")
        yield Requirement("share of the copy bandwidth", case, "cold", 0.85)
    for channels, side in SHAPES:
        case = Case(1, channels, side, "float16")
        yield Requirement("time over a one-element kernel's", case, "launch", 1.5, (ONE_ELEMENT,), upper=True)
        yield Requirement("time over a one-element kernel's", case, "warm", None, (ONE_ELEMENT,), upper=True)
    for channels, side in SHAPES:
        for batch in (1, 8, 32, 256):
            case = Case(batch, channels, side, "float16")
            for state in ("launch", "cold"):
                yield Requirement("over the best of compile and masked SDPA", case, state, 1, BEST)


def requirement_rows(record: Record) -> list[dict[str, Any]]:
    """Return every requirement with its value, 95% interval and status: reached, missed or not measured.

    "at_read_rate" is what a fused op would reach that takes no longer than F.sum(): about the most there is.
    """
    cases = {case["name"]: case for case in record["cases"]}
    rows = [_row(item, cases.get(item.case.name), record) for item in requirements(record["device"])]
    return rows + (_launch_rows(cases) if record["device"] == "cuda" else [])


def unsteady(record: Record) -> list[str]:
    """Name the requirements whose interval is too wide to state the ratio."""
    return [
        f"{row['text']}, {row['case']} {row['state']}"
        for row in record["requirements"]
        if row["bound"] is not None and row.get("interval") and _width(row) > STEADY
    ]


def _row(item: Requirement, case: Record | None, record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {"text": item.text, "case": item.case.name, "state": item.state}
    row |= {"bound": item.bound, "upper": item.upper, "status": "not measured"}
    fused = (case or {"rivals": {}})["rivals"].get(FUSED, {}).get(item.state)
    if case is None or fused is None:
        return row
    if not item.rivals:
        copied = case["traffic_bytes"] / record["copy_bytes_per_second"] * 1e6  # us
        return row | _judged(item, *ratio_interval([copied] * len(fused["samples_us"]), fused["samples_us"]))
    measured = {name: case["rivals"].get(name, {}).get(item.state) for name in item.rivals}
    times = {name: result["median_us"] for name, result in measured.items() if result}
    if not times:
        return row
    rival = min(times, key=lambda name: times[name])
    pair = measured[rival]["samples_us"], fused["samples_us"]
    read = case["rivals"].get(READ, {}).get(item.state)
    if read and rival != READ and not item.upper and not case["backward"]:
        row["at_read_rate"] = times[rival] / read["median_us"]
    return row | {"against": rival} | _judged(item, *ratio_interval(*(pair[::-1] if item.upper else pair)))


def _judged(item: Requirement, value: float, low: float, high: float) -> dict[str, Any]:
    result = {"value": value, "interval": [low, high]}
    if item.bound is None:
        return result | {"status": "nothing required"}
    reached = value <= item.bound if item.upper else value >= item.bound
    return result | {"status": "reached" if reached else "missed"}


def _launch_rows(cases: dict[str, Record]) -> list[dict[str, Any]]:
    """One launch does it all, without and with the tail."""
    rows = []
    for case in (Case(1, dtype="float16"), Case(1, 256, 28, "float16"), Case(1, dtype="float16", tail=True)):
        found = cases.get(case.name, {"rivals": {}})["rivals"].get(FUSED, {}).get("launches")
        row = {"text": "launches", "case": case.name, "state": "", "bound": 1, "upper": True}
        # The profiler sees nothing where it may not read the GPU's counters: then this is open.
        status = ("reached" if len(found) == 1 else "missed") if found else "not measured"
        rows.append(row | {"status": status} | ({"value": len(found)} if found else {}))
    return rows


def _width(row: dict[str, Any]) -> float:
    low, high = row["interval"]
    return float((high - low) / row["value"])
