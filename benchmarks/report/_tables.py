"""Figures of a record beside its cases: the tables that its benchmark prints, then all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lnlattennet.benchmarks.limits._roofline import Roofline
from lnlattennet.benchmarks.peers._tables import peer_tables
from lnlattennet.benchmarks.report._figures import FigureTable, figure_tables, single_figures
from lnlattennet.benchmarks.report._numbers import name, text
from lnlattennet.benchmarks.scaling._rows import scaling_rows

_ELSEWHERE = {
    *("benchmark", "study", "record", "started", "created", "seconds", "quick"),
    *("cases", "samples_ms", "samples_s", "requests_per_second", "memory_mb"),
    *("machine", "load", "requirements", "skipped", "anatomy_ms"),
}
"""Entries that have a place of their own on the page."""


def figures(record: Mapping[str, Any]) -> tuple[dict[str, str], list[FigureTable]]:
    """Return the single figures by name, and the tables; with the cases they are all that the record has."""
    shown, found = set(_ELSEWHERE), []
    for entries, table in _printed(record):
        shown |= entries
        found.append(table)
    others = {key: value for key, value in record.items() if key not in shown}
    # What has an interval is what the record is about.
    single = sorted(single_figures(others), key=lambda figure: not figure[1].endswith("]"))
    return dict(single), [*found, *figure_tables(others)]


def _printed(record: Mapping[str, Any]) -> Iterator[tuple[set[str], FigureTable]]:
    """Yield the tables of a benchmark that has some, each with the entries that it stands for."""
    if counted := list(_counters(record)):
        yield set(), _counter_table(counted)
    if "limits" in record:
        roofline = Roofline(record)
        yield {"limits"}, FigureTable.of_rows("limits of the machine", roofline.limit_rows())
        yield set(), FigureTable.of_rows("engines below them", roofline.engine_rows())
        yield {"layers"}, FigureTable.of_rows("layers of the network, for one image", roofline.layer_rows())
    if "sweeps" in record:
        yield {"sweeps"}, FigureTable.of_rows("time at each size", scaling_rows(record))
    if record.get("benchmark") == "peers":
        titles = ("figures of each model", "recall of each class", "paired comparisons")
        for title, rows in zip(titles, peer_tables(record), strict=True):
            yield {"answers", "labels"}, FigureTable.of_rows(title, rows)


def _counters(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], Mapping[str, float]]]:
    """Yield what was counted in a call, by case, candidate and state of the caches."""
    for case in record.get("cases", ()):
        for candidate, result in case.get("candidates", {}).items():
            for state, counted in result.get("counters", {}).items():
                yield (case["name"], candidate, state), counted


def _counter_table(counted: Sequence[tuple[tuple[str, str, str], Mapping[str, float]]]) -> FigureTable:
    columns = list(dict.fromkeys(counter for _, counts in counted for counter in counts))
    rows = [(*words, *(text(column, counts[column]) for column in columns)) for words, counts in counted]
    head = ("case", "candidate", "caches", *map(name, columns))
    return FigureTable("counted in a call", head, tuple(rows))
