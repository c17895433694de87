"""Tables read again: what was written, and one clear error for everything else."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lnlattennet.errors import DataError, UsageError
from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.tables._reading import open_table
from tests.streams.timeline.tables import COLUMNS, empty, seen

ROWS = [
    seen(0.04, "happiness", smoothed="neutral", frame=1),
    empty(0.08),
    empty(None, "unreadable", source='a "b",\nc.jpg'),
    seen(None, "sadness", None, source="ä.png"),
]


def write_csv(path: Path, rows: Sequence[Row], columns: Columns = COLUMNS) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns.types)
        writer.writerows(columns.values(row) for row in rows)


def write_jsonl(path: Path, rows: Sequence[Row], columns: Columns = COLUMNS) -> None:
    lines = [json.dumps(dict(zip(columns.types, columns.values(row), strict=True))) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def write_parquet(path: Path, rows: Sequence[Row], columns: Columns = COLUMNS) -> None:
    arrow = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, arrow[kind]) for name, kind in columns.types.items()])
    values = [dict(zip(columns.types, columns.values(row), strict=True)) for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(values, schema), path, row_group_size=500)


WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_rows_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, ROWS)
    table = open_table(path)
    assert table.columns == COLUMNS
    assert list(table.rows()) == list(table.rows()) == ROWS


def test_the_parts_of_a_folder_follow_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    with pytest.raises(DataError, match=r"is a folder without _manifest\.json"):
        open_table(folder)
    (folder / "_manifest.json").write_text('{"shards": 2}')
    write_parquet(folder / "part-0000001.parquet", ROWS[2:])
    with pytest.raises(DataError, match="1 of 2 parts: go on with `lnlattennet score --resume`"):
        open_table(folder)
    write_parquet(folder / "part-0000000.parquet", ROWS[:2])
    (folder / ".part-0000001.parquet.draft").touch()
    table = open_table(folder)
    assert table.columns == COLUMNS
    assert list(table.rows()) == ROWS
    (folder / "_manifest.json").write_text('{"shards')
    with pytest.raises(DataError, match=r"_manifest\.json is damaged"):
        open_table(folder)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_that_is_cut_off_is_one_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, ROWS)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"still writing it, wait"):
        list(open_table(path).rows())


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_empty_file_is_one_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    path.touch()
    with pytest.raises(DataError, match="and is empty"):
        open_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("other.csv", b"file,emotion\na.jpg,happy\n", "has the columns source, frame"),
        ("other.jsonl", b'{"file": "a.jpg"}\n', "has the columns source, frame"),
        ("list.jsonl", b"[1, 2]\n", "must be a JSON object"),
        ("line.csv", b"x" * 200_000, r"line 1: not CSV \(field larger"),
        ("image.csv", b"\x89PNG\r\n\x1a\n", "must be text in UTF-8"),
        ("text.parquet", b"source,frame\n", "must be a whole Parquet file"),
    ],
)
def test_a_file_of_another_tool_is_one_error(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        open_table(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing.csv", DataError, "and is missing"),
        ("rows.xlsx", UsageError, "must end in .csv, .jsonl, .parquet"),
    ],
)
def test_what_is_no_table_is_one_error(
    name: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(error, match=message):
        open_table(tmp_path / name)


def test_a_wrong_value_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv(path, ROWS)
    path.write_text(path.read_text("utf-8").replace("0.08", "soon"), "utf-8")
    with pytest.raises(DataError, match=r"rows\.csv, row 2: time must be a number, got 'soon'"):
        list(open_table(path).rows())


@pytest.mark.parametrize(
    ("time", "source", "message"),
    [
        (10**400, "film.mp4", "row 1: time must be a number, got 1000"),
        (0.0, None, "row 1: a row must have a source"),
    ],
)
def test_a_row_that_no_run_writes_is_one_error(
    time: float, source: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, ROWS)
    values = json.loads(path.read_text("utf-8").splitlines()[0]) | {"time": time, "source": source}
    path.write_text(json.dumps(values) + "\n", "utf-8")
    with pytest.raises(DataError, match=message):
        list(open_table(path).rows())


def test_what_was_read_of_a_parquet_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    random = np.random.default_rng(1)
    rows = [seen(float(t), "neutral", source=random.bytes(200).hex()) for t in range(6000)]
    write_parquet(path, rows)
    before = pyarrow.total_allocated_bytes()
    reading = open_table(path).rows()
    for _ in range(5500):
        next(reading)
    assert pyarrow.total_allocated_bytes() - before < path.stat().st_size / 2
    reading.close()  # type: ignore[attr-defined]
