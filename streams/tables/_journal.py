"""Table that grows while a run goes on, survives its end at any moment, and becomes the file in the end.

One mechanism serves all formats. Rows go to ``OUTPUT.partial/rows.jsonl``, those of a frame at a time, each
a line; a process that is killed leaves whole lines and at most a part of one. Parquet cannot be such a file:
it ends with its index, and is nothing without. In the end the file is written from the lines, beside its
place, and moved there: it is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lnlattennet import __version__
from lnlattennet._atomic import replace_file, sole_writer
from lnlattennet._command import on_one_line
from lnlattennet.errors import DataError, UsageError
from lnlattennet.streams._rows import Columns, Model, Row
from lnlattennet.streams.tables._reading import open_table
from lnlattennet.streams.tables._writing import json_line, writer_of

_ROWS, _RUN = "rows.jsonl", "run.json"


@dataclass(frozen=True)
class Run:
    """What a table is made of: a run may only go on with a table of the same.

    Attributes:
        model: the model that answers.
        options: option that changes rows -> its value, as JSON has it.
        version: of this package.
    """

    model: Model
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def columns(self) -> Columns:
        """Columns of its table."""
        return Columns(self.model.class_names, self.model.regions)

    def to_json(self) -> dict[str, Any]:
        """Return what a later run is compared with."""
        model = asdict(self.model) | {"class_names": list(self.model.class_names)}
        return {"version": self.version, **model, "options": dict(self.options)}


class Journal:
    """Rows of a run on the disk; ``open_journal`` makes one.

    Attributes:
        finished: whether the table was complete before this run began.
    """

    def __init__(self, output: Path, run: Run, finished: bool) -> None:
        self._output, self._run, self.finished = output, run, finished
        self._path = _partial(output) / _ROWS
        self._end = 0
        self._stream: Any = None

    def earlier(self) -> Iterator[list[Row]]:
        """Yield the rows of each frame that an earlier run judged, in order."""
        rows = open_table(self._output).rows() if self.finished else self._rows()
        group: list[Row] = []
        for row in rows:
            if group and row.face in (None, 0):
                yield group
                group = []
            group.append(row)
        if group:
            yield group

    def keep(self, frames: int) -> None:
        """Keep the rows of the first ``frames`` frames of earlier runs, and add what follows behind them."""
        self._end, found = 0, 0
        for row, end in self._lines():
            found += row.face in (None, 0)
            if found > frames:
                break
            self._end = end
        # Written at once, without a buffer: a full disk shows at the row that does not fit.
        self._stream = self._path.open("ab", buffering=0)
        os.ftruncate(self._stream.fileno(), self._end)

    def add(self, rows: Iterable[Row]) -> None:
        """Write the rows of one or more frames.

        Raises:
            OSError: they cannot be written; none of them is kept then.
        """
        lines = memoryview(b"".join(json_line(self._run.columns, row) for row in rows))
        try:
            written = 0
            while written < len(lines):
                written += self._stream.write(lines[written:])
        except OSError as error:
            os.ftruncate(self._stream.fileno(), self._end)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end += written

    def finish(self) -> None:
        """Make the file of all rows, and remove what it was made from."""
        self._stream.close()
        with replace_file(self._output) as draft:
            writer_of(self._output)(draft, self._run.columns, self._rows())
        shutil.rmtree(_partial(self._output))

    def close(self) -> None:
        """Close the file; the rows stay for a later run."""
        if self._stream is not None:
            self._stream.close()

    def _rows(self) -> Iterator[Row]:
        return (row for row, _ in self._lines())

    def _lines(self) -> Iterator[tuple[Row, int]]:
        """Yield each row with the position of its end in the file; a line without an end was cut off."""
        end, columns = 0, self._run.columns
        with self._path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield columns.row(_values(line, self._path)), end


@contextmanager
def open_journal(output: Path, run: Run, resume: bool) -> Iterator[Journal]:
    """Begin a table, or go on with one, for the length of a ``with`` block.

    Args:
        output: file of the table; its ending names the format.
        run: what the table is made of.
        resume: go on with the table of an earlier run, if there is one.

    Raises:
        DataError: what an earlier run left is damaged.
        UnavailableError: a package that writes the format is missing.
        UsageError: there is a table and ``resume`` is False, it is of another run, or another process is
            writing it.
    """
    writer_of(output)
    partial = _partial(output)
    with sole_writer(output, UsageError):
        if not resume:
            _refuse_what_is_there(output, partial)
        elif output.exists():
            _require_same_model(output, run.model)
            # A run that ended between making the file and this left it.
            shutil.rmtree(partial, ignore_errors=True)
        elif (partial / _RUN).exists():
            _require_same_run(partial, run)
        finished = output.exists()
        if not finished:
            partial.mkdir(parents=True, exist_ok=True)
            (partial / _ROWS).touch()
            with replace_file(partial / _RUN) as draft:
                draft.write_text(json.dumps(run.to_json(), indent=2), encoding="utf-8")
        journal = Journal(output, run, finished)
        try:
            yield journal
        finally:
            journal.close()


def _partial(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _refuse_what_is_there(output: Path, partial: Path) -> None:
    if output.exists():
        raise UsageError(f"{on_one_line(output)} exists: choose another name, or remove it")
    if partial.exists():
        raise UsageError(
            f"{on_one_line(partial)} holds the rows of a run that was stopped: go on with --resume, or "
            "remove it"
        )


def _require_same_run(partial: Path, run: Run) -> None:
    name = on_one_line(partial)
    try:
        earlier = json.loads((partial / _RUN).read_bytes())
    except ValueError as error:
        raise DataError(f"{name}/{_RUN} is damaged: {error}; remove {name} and begin anew") from error
    was, now = _told(earlier), _told(run.to_json())
    for key, value in now.items():
        if was.get(key) != value:
            raise UsageError(
                f"{name} was made with {key} {was.get(key)!r}, and now it is {value!r}: go on as it was "
                "begun, or choose another output"
            )


def _told(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is compared by, its options by their names on the command line."""
    flags = {f"--{name.replace('_', '-')}": value for name, value in run.get("options", {}).items()}
    return {**{name: value for name, value in run.items() if name != "options"}, **flags}


def _require_same_model(output: Path, model: Model) -> None:
    row = next(open_table(output).rows(), None)
    if row is None:
        return
    for key in ("model_hash", "preprocessing_id"):
        if getattr(row, key) != getattr(model, key):
            raise UsageError(
                f"{on_one_line(output)} was made by another model ({key} {getattr(row, key)!r}, and now it "
                f"is {getattr(model, key)!r}): choose another output"
            )


def _values(line: bytes, path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{on_one_line(path)} is damaged: {error}; remove its folder and begin anew"
        ) from error
    return values
