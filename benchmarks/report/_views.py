"""What the page shows of a record: rows, charts and facts, as texts and positions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._charts import IntervalMark, LogAxis, Tick
from lnlattennet._statistics import median_of_starts, p99, ratio_of_starts
from lnlattennet.benchmarks.harness._samples import CandidateStarts, read_starts
from lnlattennet.benchmarks.report._figures import FigureTable
from lnlattennet.benchmarks.report._numbers import (
    duration,
    is_figure,
    name,
    round_duration,
    text,
    three_digits,
)
from lnlattennet.benchmarks.report._tables import figures

_SAME = "1"
_DATE = re.compile(r"^\d{4}-\d\d-\d\d-")


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
        title: name of the benchmark, or what else the record says that it is.
        file: name of the record's file.
        started: date and time, UTC; "" where it does not say.
        origin: when it was measured and for how long.
        quick: whether it has few rounds.
        warning: what others took of the machine; "" if it was quiet, or nothing is known.
        cases: every case.
        figures: what else it says, a name and a text each.
        tables: likewise, where there are rows of it.
        requirements: required figures.
        skipped: cases for which no time was left.
        machine: fact -> text.
        summary: the machine in a few words.
        load: cells of a table, a row for each lap; empty for a record without.
        document: the record itself.
    """

    anchor: str
    title: str
    file: str
    started: str
    origin: str
    quick: bool
    warning: str
    cases: tuple[CaseView, ...]
    figures: Mapping[str, str]
    tables: tuple[FigureTable, ...]
    requirements: tuple[Requirement, ...]
    skipped: tuple[str, ...]
    machine: Mapping[str, str]
    summary: str
    load: tuple[tuple[str, ...], ...]
    document: Mapping[str, Any]


def record_view(path: Path, record: Mapping[str, Any]) -> RecordView:
    """Return what the page shows of a record, whatever version of this package wrote it.

    Args:
        path: of the record, within the folder.
        record: its JSON document.
    """
    load, machine = record.get("load", {}), _machine(record.get("machine", {}))
    started = record.get("started") or record.get("created") or ""
    started = started.replace("T", " ").removesuffix("+00:00")
    quick, warning = record.get("quick", False), _warning(load)
    single, groups = figures(record)
    measured = (started and f"{started} UTC", f"{record.get('seconds', 0):.0f} s", quick and "few rounds")
    return RecordView(
        anchor=path.with_suffix("").as_posix().replace("/", "-"),
        title=_title(path, record),
        file=path.as_posix(),
        started=started,
        origin=", ".join(fact for fact in measured if fact and fact != "0 s"),
        quick=quick,
        warning=warning,
        cases=tuple(_cases(record)),
        figures=single,
        tables=tuple(groups),
        requirements=tuple(_requirements(record)),
        skipped=tuple(record.get("skipped", ())),
        machine=machine,
        summary=_summary(machine, load),
        load=tuple(_laps(load)),
        document=record,
    )


def _title(path: Path, record: Mapping[str, Any]) -> str:
    """Return what the record calls itself, else the command that printed it, else the name of its file."""
    _, command, *_ = record.get("command", ("", ""))
    own = next(filter(None, map(record.get, ("benchmark", "study", "record"))), "")
    return own or command or _DATE.sub("", path.stem)


def _cases(record: Mapping[str, Any]) -> Iterator[CaseView]:
    samples = read_starts(record)
    if "cases" not in record:
        for name, candidates in samples.items():
            yield _case(name, candidates, {}, record)
        return
    for (name, candidates), case in zip(samples.items(), record["cases"], strict=True):
        yield _case(name, candidates, case, record)


def _case(
    name: str, candidates: CandidateStarts, case: Mapping[str, Any], record: Mapping[str, Any]
) -> CaseView:
    medians = {
        (candidate, state): median_of_starts(starts)
        for candidate, states in candidates.items()
        for state, starts in states.items()
    }
    missing = tuple(
        f"{candidate}: {result['failed']}"
        for candidate, result in case.get("candidates", {}).items()
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
            samples=sum(map(len, candidates[candidate][state])),
            median=duration(median.value),
            interval=f"{duration(median.low)} to {duration(median.high)}",
            mark=axis.interval(*median),
            p99=_p99(candidates[candidate][state]),
            ratio=_over_first(candidates, candidate, state),
            rate=three_digits(float(np.median(rates[candidate]))) if candidate in rates else "",
            memory=f"{np.median(memory[candidate]):,.0f}" if candidate in memory else "",
        )
        for (candidate, state), median in medians.items()
    )
    return CaseView(name, rows, tuple(axis.labels(round_duration)), missing)


def _p99(starts: Sequence[Sequence[float]]) -> str:
    tail = p99(list(itertools.chain(*starts)))
    return "" if tail is None else duration(tail)


def _over_first(candidates: CandidateStarts, name: str, state: str) -> str:
    first = next(iter(candidates))
    own, base = candidates[name][state], candidates[first].get(state)
    if name == first:
        return _SAME
    if base is None:
        return ""
    if list(map(len, own)) != list(map(len, base)):
        # Not of the same rounds, so nothing is known of how they differ together.
        return f"{median_of_starts(own).value / median_of_starts(base).value:.2f}"
    return ratio_of_starts(own, base).text()


def _requirements(record: Mapping[str, Any]) -> Iterator[Requirement]:
    for row in record.get("requirements", ()):
        if "reached" in row:  # until 2026-11-28, records of engines
            ends = [row[end] for end in ("low", "high") if end in row]
            status = "reached" if row["reached"] else "missed"
            yield Requirement(row["text"], "", row["bound"], _measured(row["value"], ends), status)
            continue
        side = "at most" if row["upper"] else "at least"
        bound = "" if row["bound"] is None else f"{side} {row['bound']:g}"
        case = f"{row['case']} {row['state']}".strip()
        yield Requirement(
            row["text"], case, bound, _measured(row.get("value"), row.get("interval")), row["status"]
        )


def _measured(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return ""
    # One without width is of a single sample, of which nothing more is known.
    return f"{value:.4g}" + (
        " [{:.4g}, {:.4g}]".format(*interval) if interval and interval[0] < interval[1] else ""
    )


def _machine(machine: Mapping[str, Any] | str) -> dict[str, str]:
    facts = {"machine": machine} if isinstance(machine, str) else machine
    return {
        name(key): cell for key, value in facts.items() if is_figure(value) and (cell := _fact(key, value))
    }


def _fact(key: str, value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else text(key, value)


def _summary(machine: Mapping[str, str], load: Mapping[str, Any]) -> str:
    facts = [machine[fact] for fact in ("machine", "cpu", "gpu") if fact in machine]
    if threads := machine.get("threads"):
        facts.append(f"{threads} thread{'s' * (threads != '1')}")
    if (quiet := load.get("quiet")) is not None:
        facts.append("quiet" if quiet else "not quiet")
    return ", ".join(facts)


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
