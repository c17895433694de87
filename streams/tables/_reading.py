"""Tables of rows read again: CSV, JSONL and Parquet, row by row."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet.errors import DataError, UsageError, require
from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.tables._parts import parts_in

_UNFINISHED = "if `lnlattennet predict` is still writing it, wait until it has ended"
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Table:
    """Rows of a file or of several, open for reading as often as one likes.

    Attributes:
        files: the file, or those that follow each other.
        columns: what its rows hold.
    """

    files: Sequence[Path]
    columns: Columns

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the order of the file, a limited number of them in memory.

        Raises:
            DataError: a row is cut off or breaks a rule; the message says which.
        """
        types = self.columns.types
        for path in self.files:
            for number, values in enumerate(_READERS[path.suffix.lower()](path), 1):
                try:
                    typed = {name: _typed(name, values.get(name), kind) for name, kind in types.items()}
                    yield self.columns.row(typed)
                except DataError as error:
                    raise DataError(f"{path}, row {number}: {error}") from error


def open_table(path: Path) -> Table:
    """Open a table that ``lnlattennet predict --output`` or ``lnlattennet score`` wrote.

    Args:
        path: a file whose name ends in .csv, .jsonl or .parquet, or a folder of parts.

    Raises:
        UsageError: the file's name ends otherwise.
        DataError: it is missing, empty, cut off or not such a table, or parts are missing.
        UnavailableError: a Parquet file, and pyarrow is not installed.
    """
    if path.is_dir():
        parts = parts_in(path)
        return dataclasses.replace(open_table(parts[0]), files=parts)
    if not path.is_file():
        raise DataError(f"{path} must be a table that `lnlattennet predict --output` wrote, and is missing")
    if path.suffix.lower() not in _READERS:
        raise UsageError(f"a table of answers must end in {', '.join(_READERS)}, got {path}")
    if not path.stat().st_size:
        raise DataError(f"{path} must hold a table of answers, and is empty; {_UNFINISHED}")
    names = _names(path)
    try:
        return Table([path], Columns.from_names(names))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _names(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return list(_parquet(path).schema_arrow.names)
    if path.suffix.lower() == ".csv":
        with _text(path) as stream:
            try:
                return next(csv.reader(_decoded(path, stream)), [])
            except csv.Error as error:
                raise DataError(f"{path}, line 1: not CSV ({error})") from error
    return list(next(_jsonl_rows(path), {}))


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with _text(path) as stream:
        reader = csv.reader(_decoded(path, stream))
        try:
            names = next(reader)
            for cells in reader:
                if len(cells) != len(names):
                    found = f"this one {len(cells)}; {_UNFINISHED}"
                    raise DataError(f"{path}, line {reader.line_num}: a row has {len(names)} cells, {found}")
                yield {name: cell or None for name, cell in zip(names, cells, strict=True)}
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not CSV ({error})") from error


def _jsonl_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with _text(path) as stream:
        for number, line in enumerate(_decoded(path, stream), 1):
            try:
                values = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: a line must be a JSON object, not cut off; {_UNFINISHED}"
                ) from error
            if not isinstance(values, dict):
                raise DataError(
                    f"{path}, line {number}: a line must be a JSON object, got {line.strip()[:40]}"
                )
            yield values


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    arrow = require("pyarrow", "tables")
    try:
        for batch in _parquet(path).iter_batches(_ROWS_AT_ONCE):
            yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: a part of the Parquet file cannot be read ({error})") from error


def _parquet(path: Path) -> Any:
    """Open a Parquet file; its end, which is written last, says what is in it."""
    require("pyarrow", "tables")
    import pyarrow
    import pyarrow.parquet

    try:
        # Buffered ahead, all of the file that was read stays in memory.
        return pyarrow.parquet.ParquetFile(path, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} must be a whole Parquet file, and is not; {_UNFINISHED}") from error


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def _text(path: Path) -> Any:
    return path.open(encoding="utf-8", newline="")


def _decoded(path: Path, stream: Any) -> Iterator[str]:
    """Yield lines; a file of another encoding, or no text at all, is an error of the data."""
    try:
        yield from stream
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be text in UTF-8, and byte {error.start} of a part is not") from error


def _typed(name: str, value: Any, kind: type[str] | type[int] | type[float]) -> Any:
    """Return a value of a column in the column's type; CSV has texts only."""
    if value is None or type(value) is kind:
        return value
    try:
        if isinstance(value, str) or (kind is float and isinstance(value, int)):
            return kind(value)
    # A whole number may be larger than any float.
    except (ValueError, OverflowError):
        pass
    words = {str: "text", int: "a whole number", float: "a number"}
    raise DataError(f"{name} must be {words[kind]}, got {value!r}")
