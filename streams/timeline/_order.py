"""Rows in order of time, sorted on disk: a table may be larger than the memory."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from lnlattennet.streams._rows import Row

_ROWS_AT_ONCE = 50_000


def sorted_by_time(rows: Iterable[Row], at_once: int = _ROWS_AT_ONCE) -> Iterator[Row]:
    """Yield rows by source, time, frame and face; ``at_once`` of them are in memory at a time."""
    with tempfile.TemporaryDirectory(prefix="lnlattennet-") as folder:
        files: list[Path] = []
        remaining = iter(rows)
        while part := sorted(islice(remaining, at_once), key=_key):
            files.append(Path(folder) / str(len(files)))
            with files[-1].open("wb") as stream:
                for row in part:
                    pickle.dump(row, stream)
        yield from heapq.merge(*map(_rows_in, files), key=_key)


def _rows_in(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        while True:
            try:
                yield pickle.load(stream)  # noqa: S301 - written above, into a folder of this user only
            except EOFError:
                return


def _key(row: Row) -> tuple[str, float, int, int]:
    """Rows of images without a time come first and stay as they are."""
    if row.time is None:
        return ("", 0.0, 0, 0)
    return (
        row.source,
        row.time,
        -1 if row.frame is None else row.frame,
        -1 if row.face is None else row.face,
    )
