"""Tables of rows written as files, by the ending of the file: CSV, JSONL and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lnlattennet.errors import UsageError, require
from lnlattennet.streams._answers import batched
from lnlattennet.streams._rows import Columns, Row

_BATCH, _BATCHES = 512, 16
"""Rows that become columns at once, and how many such batches are a row group of a Parquet file.

As columns 8,192 rows take 3 MB, as Python's objects 40 MB.
"""

Write = Callable[[Path, Columns, Iterable[Row]], None]
"""Writes rows to a file."""


def writer_of(path: Path) -> Write:
    """Return what writes the format that a file's ending names.

    Raises:
        UnavailableError: a package that writes the format is missing.
        UsageError: the ending names none.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"a table must be a file that ends in {', '.join(_WRITERS)}, got {path}")
    if write is write_parquet:
        require("pyarrow.parquet", "tables")
    return write


def json_line(columns: Columns, row: Row) -> bytes:
    """Return a row as a line of JSON."""
    values = dict(zip(columns.types, columns.values(row), strict=True))
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _write_json(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    with path.open("wb") as stream:
        stream.writelines(json_line(columns, row) for row in rows)


def _write_csv(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns.types)
        writer.writerows(map(columns.values, rows))


def write_parquet(target: Any, columns: Columns, rows: Iterable[Row]) -> None:
    """Write rows as Parquet to a path, or a file object of pyarrow's; ``pyarrow`` must be installed."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.types.items()])

    def as_columns(values: Sequence[Sequence[Any]]) -> Any:
        typed = zip(zip(*values, strict=True), schema.types, strict=True)
        arrays = [pyarrow.array(column, kind) for column, kind in typed]
        return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)

    batches = map(as_columns, batched(map(columns.values, rows), _BATCH))
    with ParquetWriter(target, schema, compression="zstd") as writer:
        for group in batched(batches, _BATCHES):
            writer.write_table(pyarrow.Table.from_batches(group))


_WRITERS: dict[str, Write] = {".csv": _write_csv, ".jsonl": _write_json, ".parquet": write_parquet}
