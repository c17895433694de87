"""Frames to results in order, while several of them are being judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, Self, TypeVar

from lnlattennet._interrupt import interrupts_held
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._rows import Model, Row, rows_of, unreadable_row

_Item = TypeVar("_Item")

_GLANCE_SECONDS = 0.1
"""How long Ctrl-C waits while an answer is waited for."""


@dataclass(frozen=True)
class Task:
    """A frame to be judged.

    Attributes:
        frame: the frame.
        overlay: PNG file to draw its faces' region weights to, if wanted.
    """

    frame: Frame
    overlay: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a frame.

    Attributes:
        predictions: one for each face, or of the center square; none if there is no image.
        error: why there are no predictions; "" if there are.
        overlay_error: why there is no overlay; "" if there is one or none was wanted.
    """

    predictions: tuple[Prediction, ...] = field(default=(), repr=False)
    error: str = ""
    overlay_error: str = ""

    def drew(self, task: Task) -> bool:
        """Return whether the task's overlay was wanted and written."""
        return task.overlay is not None and not (self.error or self.overlay_error)

    def rows(self, frame: Frame, model: Model) -> list[Row]:
        """Return the rows of the frame: one for every face, or one that says why there is none."""
        if self.error:
            return [unreadable_row(frame, self.error, model)]
        return rows_of(frame, self.predictions, model)


Submit = Callable[[Sequence[Task]], Future[list[Answer]]]
"""Has a batch of tasks answered elsewhere."""


class FramePredictor(Protocol):
    """A bundle in this process or a server that judges frames; a context manager."""

    @property
    def model(self) -> Model:
        """The model that answers."""

    def __call__(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer, in order; only a bounded number of them is held."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """Let go of what it holds."""


def in_order(
    submit: Submit, batches: Iterable[Sequence[Task]], in_flight: int
) -> Iterator[tuple[Task, Answer]]:
    """Have batches of tasks answered, several at a time; yield the answers in order, once they are there.

    Args:
        submit: begins a batch.
        batches: read as they are needed.
        in_flight: batches that have begun and whose answers were not yielded, at most.
    """
    pending: deque[tuple[Sequence[Task], Future[list[Answer]]]] = deque()
    for batch in batches:
        with interrupts_held():
            pending.append((batch, submit(batch)))
        # A camera's next batch may take its time.
        while pending and (len(pending) >= in_flight or _is_done(pending[0][1])):
            yield from _first(pending)
    while pending:
        yield from _first(pending)


def _first(
    pending: deque[tuple[Sequence[Task], Future[list[Answer]]]],
) -> Iterator[tuple[Task, Answer]]:
    tasks, future = pending.popleft()
    while not _is_done(future, _GLANCE_SECONDS):
        pass
    with interrupts_held():
        answers = future.result()
    yield from zip(tasks, answers, strict=True)


def _is_done(future: Future[list[Answer]], seconds: float = 0.0) -> bool:
    """Return whether a future has ended, within so many seconds."""
    with interrupts_held():
        return bool(wait([future], seconds).done)


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield the items in lists of ``size``, the last one perhaps shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
