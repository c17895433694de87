"""What the page shows of a record: rows, charts and facts, as texts and positions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._charts import IntervalMark, LogAxis, Tick
from lnlattennet._statistics import Estimate, median_interval, ratio_interval
from lnlattennet.benchmarks.harness._samples import Candidates, read_samples

_FEWEST_FOR_P99 = 100
_SAME = "1"


@dataclass(frozen=True)
class Row:
    """One candidate of a case in one state of the caches; a cell without a figure is "".

    Attributes:
        candidate: name.
        subject: whether it is the case's first: what the benchmark is about.
        state: of the caches.
        samples: number of samples.
        median: with its unit.
        interval: 95% interval of the median.
        mark: both on the case's scale.
        p99: only of 100 samples or more.
        ratio: median over the first candidate's, with its 95% interval.
        rate: answers a second.
        memory: median peak memory, MB.
    """

    candidate: str
    subject: bool
    state: str
    samples: int
    median: str
    interval: str
    mark: IntervalMark
    p99: str
    ratio: str
    rate: str
    memory: str


@dataclass(frozen=True)
class CaseView:
    """A case: its rows on one logarithmic scale, and why candidates are missing."""

    name: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    missing: tuple[str, ...]

    def has(self, column: str) -> bool:
        """Return whether any row has a figure in this column."""
        return any(getattr(row, column) for row in self.rows)


@dataclass(frozen=True)
class Requirement:
    """A required figure."""

    text: str
    case: str
    bound: str
    value: str
    status: str


@dataclass(frozen=True)
class RecordView:
    """A record.

    Attributes:
        anchor: for links on the page.
        title: name of the benchmark.
        file: name of the record's file.
        started: date and time, UTC.
        seconds: duration.
        quick: whether it has few rounds.
        warning: what others took of the machine; "" if it was quiet, or nothing is known.
        cases: every case.
        requirements: required figures.
        skipped: cases for which no time was left.
        machine: fact -> text.
        load: cells of a table, a row for each lap; empty for a record without.
        document: the record itself.
    """

    anchor: str
    title: str
    file: str
    started: str
    seconds: float
    quick: bool
    warning: str
    cases: tuple[CaseView, ...]
    requirements: tuple[Requirement, ...]
    skipped: tuple[str, ...]
    machine: Mapping[str, str]
    load: tuple[tuple[str, ...], ...]
    document: Mapping[str, Any]


def record_view(path: Path, record: Mapping[str, Any]) -> RecordView:
    """Return what the page shows of a record that has timings."""
    samples = read_samples(record)
    cases = {case["name"]: case for case in record["cases"]}
    load = record.get("load", {})
    return RecordView(
        anchor=path.stem,
        title=record["benchmark"],
        file=path.name,
        started=record.get("started", "").replace("T", " ").removesuffix("+00:00"),
        seconds=record.get("seconds", 0.0),
        quick=record.get("quick", False),
        warning=_warning(load),
        cases=tuple(_case(name, samples[name], cases[name], record) for name in cases),
        requirements=tuple(_requirements(record)),
        skipped=tuple(record.get("skipped", ())),
        machine=dict(_machine(record["machine"])),
        load=tuple(_laps(load)),
        document=record,
    )


def duration(microseconds: float) -> str:
    """Return a time with three digits and the unit that fits, such as "1.28 ms"."""
    unit, size = _unit(microseconds)
    return f"{_three(microseconds / size)} {unit}"


def round_duration(microseconds: float) -> str:
    """Return a round time without needless digits, such as "50 ms"."""
    unit, size = _unit(microseconds)
    return f"{microseconds / size:g} {unit}"


def _unit(microseconds: float) -> tuple[str, float]:
    return next(((unit, size) for unit, size in (("s", 1e6), ("ms", 1e3)) if microseconds >= size), ("µs", 1))


def _three(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{min(digits, 3)}f}"


def _case(name: str, candidates: Candidates, case: Mapping[str, Any], record: Mapping[str, Any]) -> CaseView:
    medians = {
        (candidate, state): median_interval(samples)
        for candidate, states in candidates.items()
        for state, samples in states.items()
    }
    missing = tuple(
        f"{candidate}: {result['failed']}"
        for candidate, result in case["candidates"].items()
        if result.get("failed")
    )
    if not medians:
        return CaseView(name, (), (), missing)
    axis = LogAxis.around([end for median in medians.values() for end in median])
    rates = record.get("requests_per_second", {}).get(name, {})
    memory = record.get("memory_mb", {}).get(name, {})
    rows = tuple(
        Row(
            candidate=candidate,
            subject=candidate == next(iter(candidates)),
            state=state,
            samples=len(candidates[candidate][state]),
            median=duration(median.value),
            interval=f"{duration(median.low)} to {duration(median.high)}",
            mark=axis.interval(*median),
            p99=_p99(candidates[candidate][state]),
            ratio=_over_first(candidates, candidate, state),
            rate=_three(float(np.median(rates[candidate]))) if candidate in rates else "",
            memory=f"{np.median(memory[candidate]):,.0f}" if candidate in memory else "",
        )
        for (candidate, state), median in medians.items()
    )
    return CaseView(name, rows, tuple(axis.labels(round_duration)), missing)


def _p99(samples: Sequence[float]) -> str:
    return duration(float(np.percentile(samples, 99))) if len(samples) >= _FEWEST_FOR_P99 else ""


def _over_first(candidates: Candidates, name: str, state: str) -> str:
    first = next(iter(candidates))
    own, base = candidates[name][state], candidates[first].get(state)
    if name == first:
        return _SAME
    if base is None:
        return ""
    if len(own) != len(base):  # not of the same rounds, so nothing is known of how they differ together
        return f"{np.median(own) / np.median(base):.2f}"
    return _estimate(ratio_interval(own, base))


def _estimate(estimate: Estimate) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*estimate)


def _requirements(record: Mapping[str, Any]) -> Iterator[Requirement]:
    for row in record.get("requirements", ()):
        bound = (
            "" if row["bound"] is None else f"{'at most' if row['upper'] else 'at least'} {row['bound']:g}"
        )
        value = ""
        if row["value"] is not None:
            value = f"{row['value']:.4g}"
            if row["interval"]:
                value += " [{:.4g}, {:.4g}]".format(*row["interval"])
        yield Requirement(row["text"], f"{row['case']} {row['state']}".strip(), bound, value, row["status"])


def _machine(machine: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in machine.items():
        name = key.removesuffix("_bytes").replace("_", " ")
        if value in (None, "", []):
            continue
        if key.endswith("_bytes"):
            yield name, f"{value / 2**20:,.0f} MiB"
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif isinstance(value, float):
            yield name, f"{value:.2f}"
        else:
            yield name, str(value)


def _warning(load: Mapping[str, Any]) -> str:
    if load.get("quiet") is not False:
        return ""
    share = f"{load['others']:.0%} of the {load['cpus']} CPUs"
    return f"The machine was not quiet: others took up to {share}, and figures may be off by as much."


def _laps(load: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for lap in load.get("laps", ()):
        waiting, clock = lap["waiting"], lap["clock_mhz"]
        yield (
            f"{lap['seconds']:.1f}",
            *(f"{lap[name]:.2f}" for name in ("own_cpus", "other_cpus", "stolen_cpus")),
            "" if waiting is None else f"{waiting:.0%}",
            f"{lap['load_average']:.2f}",
            "" if clock is None else f"{clock:,.0f}",
        )
