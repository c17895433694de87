"""Tables written: the memory that it takes does not depend on the number of rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet

from lnlattennet.streams._rows import Row
from lnlattennet.streams.tables._writing import write_parquet
from tests.streams.timeline.tables import COLUMNS, seen


def rows(count: int) -> Iterator[Row]:
    return (seen(float(time), "happiness", source=f"clip {time}.mp4") for time in range(count))


def peak_bytes(path: Path, count: int) -> int:
    tracemalloc.start()
    try:
        write_parquet(path, COLUMNS, rows(count))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rows_of_a_parquet_file_become_columns_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    peak_bytes(path, 1)
    few = peak_bytes(path, 1000)
    assert peak_bytes(path, 9000) < 1.5 * few
    file = pyarrow.parquet.ParquetFile(path)
    assert (file.metadata.num_rows, file.num_row_groups) == (9000, 2)
    assert file.read()["source"].to_pylist() == [row.source for row in rows(9000)]
