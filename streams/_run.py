"""Runs: every frame to rows of a table on the disk, with progress, and on where an earlier run stopped."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Task as ProgressTask,
)
from rich.text import Text

from lnlattennet._command import counted, on_one_line
from lnlattennet._console import shows_progress, stderr
from lnlattennet.errors import UsageError
from lnlattennet.streams._answers import FramePredictor, Task
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._local import BATCH
from lnlattennet.streams._rows import Row, RowStatus
from lnlattennet.streams.tables._journal import Journal, Run, open_journal

_log = logging.getLogger(__name__)

Stage = Callable[[Frame, Sequence[Row]], Sequence[Row]]
"""Changes the rows of a frame before they are written, as a tracker does; it gets every frame in order.

When a run goes on, it gets the earlier frames with the rows that were written; what it returns is not used.
"""


@dataclass
class Summary:
    """What a run has written.

    Attributes:
        frames: images and frames that were judged, in this run and before.
        moving: of them, frames of videos and cameras.
        rows: how many rows have each status.
        overlays: frames whose overlay was written, in this run.
        problems: frames whose overlay could not be written.
    """

    frames: int = 0
    moving: int = 0
    rows: Counter[RowStatus] = field(default_factory=Counter)
    overlays: int = 0
    problems: int = 0

    def add(self, frame: Frame, rows: Iterable[Row]) -> None:
        """Count one more frame."""
        self.frames += 1
        self.moving += frame.index is not None
        self.rows.update(row.status for row in rows)

    @property
    def counted(self) -> str:
        """How many images and frames there are, in words."""
        counts = {"image": self.frames - self.moving, "frame": self.moving}
        parts = [counted(count, name) for name, count in counts.items() if count]
        return " and ".join(parts) or "0 images"


def write_table(
    tasks: Iterable[Task],
    predictor: FramePredictor,
    output: Path,
    *,
    run: Run,
    resume: bool = False,
    repeatable: bool = True,
    stage: Stage | None = None,
    total: int | None = None,
) -> Summary:
    """Judge frames and write their rows to a table.

    Args:
        tasks: all frames of the run in order, also those that an earlier run judged.
        predictor: answers them.
        output: file of the table; its ending names the format.
        run: what the table is made of.
        resume: go on with the table of an earlier run, if there is one.
        repeatable: whether a later run gets the same frames. If not, nothing goes on with the rows of a run
            that is stopped: they become the table at once.
        stage: changes rows before they are written.
        total: number of frames, if it is known.

    Raises:
        OSError: the table cannot be written; ``resume`` goes on with what there is.
        ServingError: the server failed; likewise.
        UsageError: there is a table and ``resume`` is False, or it is of another run or of other frames.
    """
    summary = Summary()
    with open_journal(output, run, resume) as journal:
        remaining = iter(tasks)
        _replay(journal, remaining, stage, summary, output)
        if journal.finished:
            _require_nothing_left(remaining, output)
            _log.info("%s is complete", on_one_line(output))
            return summary
        try:
            with _progress(total, summary.frames) as advance:
                for task, answer in predictor(remaining):
                    rows = answer.rows(task.frame, run.model)
                    if stage is not None:
                        rows = list(stage(task.frame, rows))
                    summary.overlays += answer.drew(task)
                    if answer.overlay_error:
                        summary.problems += 1
                        _log.warning("%s: %s", on_one_line(task.frame.source), answer.overlay_error)
                    journal.add(rows)
                    summary.add(task.frame, rows)
                    advance(summary.frames)
            journal.finish()
        except BaseException as error:
            if repeatable:
                advice = "the same command with --resume goes on"
                _log.warning("the rows of %s are kept; %s", summary.counted, advice)
            elif not isinstance(error, OSError):
                journal.finish()
                _log.warning("%s has the rows of %s", on_one_line(output), summary.counted)
            raise
    return summary


def _replay(
    journal: Journal, tasks: Iterator[Task], stage: Stage | None, summary: Summary, output: Path
) -> None:
    """Pass over the tasks that an earlier run did.

    Frames are judged eight at a time, and the last digits of an answer may depend on the others of the eight.
    So a run goes on at a multiple of eight: its rows are then those of a run that was never stopped.
    """
    frames = sum(1 for _ in journal.earlier())
    # The last frame's rows may be incomplete.
    kept = frames if journal.finished else max(frames - 1, 0) // BATCH * BATCH
    for rows, _ in zip(journal.earlier(), range(kept), strict=False):
        task = next(tasks, None)
        first = rows[0]
        if task is None or (task.frame.source, task.frame.index) != (first.source, first.frame):
            now = "there is nothing more" if task is None else on_one_line(task.frame.source)
            raise UsageError(
                f"image {summary.frames + 1} of {on_one_line(output)} is {on_one_line(first.source)}, and "
                f"now it is {now}: --resume goes on with the same images; choose another output for others"
            )
        if stage is not None:
            stage(task.frame, rows)
        summary.add(task.frame, rows)
    if not journal.finished:
        journal.keep(kept)


def _require_nothing_left(tasks: Iterator[Task], output: Path) -> None:
    if (task := next(tasks, None)) is not None:
        raise UsageError(
            f"{on_one_line(output)} is complete without {on_one_line(task.frame.source)}: choose another "
            "output for more images"
        )


class _Rate(ProgressColumn):
    """Images and frames a second."""

    def render(self, task: ProgressTask) -> Text:
        """Return the rate of the last while."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


@contextmanager
def _progress(total: int | None, done: int) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal; yield what tells how many frames are done."""
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(
        *columns, TimeRemainingColumn(), console=stderr, transient=True, disable=not shows_progress()
    ) as progress:
        bar = progress.add_task("images", total=total, completed=done)
        yield lambda frames: progress.update(bar, completed=frames)
