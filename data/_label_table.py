"""Label tables of data sets: delimited text whose columns are taken by name, whatever tool wrote it."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from lnlattennet._command import printable
from lnlattennet.data._files import open_text
from lnlattennet.errors import DataError

DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        line: its line in the file, from 1.
        fields: what it holds, in the file's order.
        values: column -> value, without spaces around it; without columns that the row is too short for.
        named: whether the file names its columns; else ``values`` are those of the published order.
    """

    line: int
    fields: list[str]
    values: dict[str, str]
    named: bool


def read_table(file: Path, columns: Sequence[str], needed: Collection[str] | None = None) -> Iterator[Row]:
    """Read a table whose first row may name its columns, in any order, case and spelling of spaces.

    Other columns, such as an index, are passed over. The delimiter is a comma, semicolon, tab or bar; the
    text UTF-8 or UTF-16, with or without a mark at its start.

    Args:
        file: the table.
        columns: the columns' published names, in the published order.
        needed: those that a row of names must have; default: all.

    Raises:
        DataError: the file cannot be read, or its row of names lacks a column or has one twice.
    """
    try:
        with open_text(file) as stream:
            yield from _rows(file, stream, columns, needed or columns)
    except csv.Error as error:
        raise DataError(f"{printable(file)} is no table: {error}; download it again") from error


def _rows(file: Path, stream: TextIO, columns: Sequence[str], needed: Collection[str]) -> Iterator[Row]:
    first = next((line for line in stream if line.strip()), "")
    stream.seek(0)
    reader = csv.reader(stream, delimiter=delimiter_of(first, columns), skipinitialspace=True)
    rows = ((reader.line_num, fields) for fields in reader if any(field.strip() for field in fields))
    above = next(rows, None)
    if above is None:
        return
    line, names = above
    places = _places(f"line {line} of {printable(file)}", names, columns, needed)
    for line, fields in rows if places else itertools.chain([above], rows):
        values = _by_name(places, len(names), fields) if places else _in_order(columns, fields)
        yield Row(line, fields, values, named=places is not None)


def delimiter_of(line: str, columns: Sequence[str]) -> str:
    """Return the delimiter by which a table's first line has most of ``columns``, or about as many fields."""
    keys = set(map(_key, columns))

    def fit(delimiter: str) -> tuple[int, int]:
        fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        return len(keys & set(map(_key, fields))), -abs(len(fields) - len(columns))

    return max(DELIMITERS, key=fit)


def whole_number(text: str) -> int | None:
    """Return the whole number that a field holds, also as `5.0`, as tables with gaps have it; else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _key(field: str) -> str:
    return re.sub(r"[\W_]+", "", field.casefold())


def _places(
    place: str, header: list[str], columns: Sequence[str], needed: Collection[str]
) -> dict[str, int] | None:
    """Return where each of ``columns`` stands in a row of names; None if it is no such row."""
    keys = [_key(field) for field in header]
    known = set(map(_key, columns))
    if known.isdisjoint(keys):
        return None
    absent = [name for name in columns if name in needed and _key(name) not in keys]
    repeated = [name for name in columns if keys.count(_key(name)) > 1]
    if absent or repeated:
        unknown = [repr(field.strip()) for field, key in zip(header, keys, strict=True) if key not in known]
        kinds = {"missing": absent, "unknown": unknown, "repeated": repeated}
        raise DataError(
            f"{place} must name each of these columns once, in any order: {', '.join(columns)}; "
            + "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
            + "; correct the names, or download it again"
        )
    return {name: keys.index(_key(name)) for name in columns if _key(name) in keys}


def _by_name(places: dict[str, int], width: int, fields: list[str]) -> dict[str, str]:
    """Return the values of a row below ``width`` names; none where it has more fields than these."""
    # A delimiter inside a field has then moved all that follow.
    if any(field.strip() for field in fields[width:]):
        return {}
    return {name: fields[place].strip() for name, place in places.items() if place < len(fields)}


def _in_order(columns: Sequence[str], fields: list[str]) -> dict[str, str]:
    """Return the values of a row in the published order, with or without a column of row numbers before."""
    numbered = len(fields) == len(columns) + 1 and fields[0].strip().isdecimal()
    places = {name: place for place, name in enumerate(columns)}
    return _by_name(places, len(columns), fields[numbered:])
