"""Figures of a record that are no samples of a case, whatever kind of record it is: alone, or in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lnlattennet.benchmarks.report._numbers import is_figure, name, text

_LONGEST = 200
"""Characters of a text beyond which it is data, such as a class for every face."""


@dataclass(frozen=True)
class FigureTable:
    """A table; the first cell of a row is its head."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of_rows(cls, title: str, rows: Sequence[Sequence[str]]) -> FigureTable:
        """Return a table of rows of which the first one is the head."""
        head, *body = map(tuple, rows)
        return cls(title, head, tuple(body))

    def is_text(self, column: int) -> bool:
        """Return whether a column has words, which stand at its left; numbers stand at its right."""
        return column == 0 or any(row[column][:1].isalpha() for row in self.rows)


def single_figures(facts: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the words and the text of each figure that belongs to no table."""
    for key, value in facts.items():
        below = f"{path} {name(key)}".strip()
        if is_figure(value):
            if (cell := text(key, value)) and len(cell) <= _LONGEST:
                yield below, cell
        elif not _is_table(value):
            yield from single_figures(value, below)


def figure_tables(facts: Mapping[str, Any], path: str = "") -> Iterator[FigureTable]:
    """Yield a table for each list of entries, and for each group of alike ones by name."""
    for key, value in facts.items():
        below = f"{path} {name(key)}".strip()
        if is_figure(value) or not value:
            continue
        if _is_table(value):
            yield _table(below, value)
        else:
            yield from figure_tables(value, below)


def _is_table(value: Any) -> bool:
    """Return whether a group is a list, or several groups by name that fit a row each."""
    if isinstance(value, list):
        return True
    groups = [row for row in value.values() if not is_figure(row)]
    return len(groups) == len(value) > 1 and not any(map(_holds_tables, groups))


def _holds_tables(group: Any) -> bool:
    """Return whether a group has many entries below it, which no row can hold."""
    return isinstance(group, Mapping) and any(
        isinstance(value, list) and not is_figure(value) for value in group.values()
    )


def _table(title: str, value: Any) -> FigureTable:
    head, named = _named(value)
    rows = [(first, dict(_cells("", row))) for first, row in named]
    columns = list(dict.fromkeys(column for _, row in rows for column in row))
    cells = tuple((first, *(row.get(column, "") for column in columns)) for first, row in rows)
    return FigureTable(title, (head, *columns), cells)


def _named(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    """Return entries by their first figure, if it is a name or a count, else by number; and what it is."""
    if isinstance(value, Mapping):
        return "name", [(name(key), row) for key, row in value.items()]
    first = {next(iter(row), "") if isinstance(row, Mapping) else "" for row in value}
    key = first.pop()
    if first or not key or not all(isinstance(row[key], int | str) for row in value):
        return "no.", [(str(number), row) for number, row in enumerate(value, 1)]
    return name(key), [(str(row[key]), {k: v for k, v in row.items() if k != key}) for row in value]


def _cells(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the figures below a value, each with the words on the way to it."""
    for key, item in _entries(value):
        below = f"{path} {name(key)}".strip()
        if not is_figure(item):
            yield from _cells(below, item)
        elif len(cell := text(key, item)) <= _LONGEST:
            yield below, cell


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
        return
    head, named = _named(value)
    for first, row in named:
        yield f"{head} {first}".removeprefix("no. "), row
