"""Formats of tables of rows, by the ending of the file: CSV, JSONL and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet.errors import DataError, UsageError, require
from lnlattennet.streams._answers import batched
from lnlattennet.streams._rows import Columns, Row

_GROUP = 8192
"""Rows of a Parquet row group, which are held in memory together."""


@dataclass(frozen=True)
class Format:
    """Writes and reads tables of one format.

    Attributes:
        write: writes rows to a file.
        read: yields the rows of a file; it raises DataError if the file is no such table.
        check: raises UnavailableError if a package is missing.
    """

    write: Callable[[Path, Columns, Iterable[Row]], None]
    read: Callable[[Path], Iterator[Row]]
    check: Callable[[], object] = lambda: None


def format_of(path: Path) -> Format:
    """Return the format that a file's ending names.

    Raises:
        UsageError: it names none.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise UsageError(f"a table must be a file that ends in {', '.join(FORMATS)}, got {path}")
    return found


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a table that ``predict`` wrote, of any format.

    Raises:
        DataError: it is damaged, or no such table.
        UnavailableError: a package that reads it is missing.
        UsageError: its ending names no format.
    """
    found = format_of(path)
    found.check()
    try:
        yield from found.read(path)
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is damaged, or no table of answers: {error}") from error


def json_line(columns: Columns, row: Row) -> bytes:
    """Return a row as a line of JSON."""
    values = dict(zip(columns.types, columns.values(row), strict=True))
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def row_of_json(line: bytes) -> tuple[Columns, Row]:
    """Return the row of a line of JSON, and its columns.

    Raises:
        DataError: it is none.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise DataError(f"a row must be a line of JSON: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"a row must be a JSON object, got {type(values).__name__}")
    columns = Columns.from_names(list(values))
    return columns, columns.row(values)


def _write_json(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    with path.open("wb") as stream:
        stream.writelines(json_line(columns, row) for row in rows)


def _read_json(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        for line in stream:
            yield row_of_json(line)[1]


def _write_csv(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns.types)
        writer.writerows(map(columns.values, rows))


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        columns = Columns.from_names(next(reader, []))
        types = columns.types
        for cells in reader:
            if len(cells) != len(types):
                raise DataError(f"{path}, line {reader.line_num}: {len(cells)} cells of {len(types)} columns")
            pairs = zip(types.items(), cells, strict=True)
            yield columns.row({name: kind(cell) if cell else None for (name, kind), cell in pairs})


def _write_parquet(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    arrow = require("pyarrow", "tables")
    parquet = require("pyarrow.parquet", "tables")
    kinds = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.types.items()])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in batched(map(columns.values, rows), _GROUP):
            values_of = zip(zip(*group, strict=True), schema.types, strict=True)
            arrays = [arrow.array(values, kind) for values, kind in values_of]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _read_parquet(path: Path) -> Iterator[Row]:
    parquet = require("pyarrow.parquet", "tables")
    with parquet.ParquetFile(path) as file:
        columns = Columns.from_names(file.schema_arrow.names)
        for batch in file.iter_batches(_GROUP):
            yield from map(columns.row, batch.to_pylist())


def _need_parquet() -> Any:
    return require("pyarrow.parquet", "tables")


FORMATS = {
    ".csv": Format(_write_csv, _read_csv),
    ".jsonl": Format(_write_json, _read_json),
    ".parquet": Format(_write_parquet, _read_parquet, _need_parquet),
}
"""Ending -> format."""
