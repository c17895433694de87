"""Answers come in order, and as soon as they are there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from lnlattennet.streams._answers import Answer, Task, in_order
from lnlattennet.streams._frame import Frame


def tasks(read: list[int], count: int) -> Iterator[list[Task]]:
    for number in range(count):
        read.append(number)
        yield [Task(Frame(str(number)))]


def test_an_answer_that_is_there_waits_for_no_other_task() -> None:
    """The next frame of a camera may take its time."""

    def answered(batch: Sequence[Task]) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        future.set_result([Answer() for _ in batch])
        return future

    read: list[int] = []
    answers = in_order(answered, tasks(read, 20), 8)
    for number in range(20):
        task, _ = next(answers)
        assert task.frame.source == str(number)
        assert len(read) == number + 1
    assert list(answers) == []


def test_a_late_answer_keeps_its_place() -> None:
    futures: list[Future[list[Answer]]] = []

    def begun(batch: Sequence[Task]) -> Future[list[Answer]]:
        futures.append(Future())
        # The last that may be in flight comes first, then all before it.
        if len(futures) % 3 == 0:
            for future in reversed(futures[-3:]):
                future.set_result([Answer()])
        return futures[-1]

    read: list[int] = []
    order = [int(task.frame.source) for task, _ in in_order(begun, tasks(read, 9), 3)]
    assert order == list(range(9))


class _Interrupted:
    """A future's lock, during whose first taking Ctrl-C comes."""

    def __init__(self, condition: threading.Condition) -> None:
        self._condition, self._came = condition, False

    def acquire(self) -> None:
        self._condition.acquire()
        if not self._came:
            self._came = True
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def __getattr__(self, name: str) -> object:
        return getattr(self._condition, name)


def test_an_interrupt_leaves_no_future_locked() -> None:
    """The end of the pool takes every future's lock, in a thread of its own."""
    future: Future[list[Answer]] = Future()
    vars(future)["_condition"] = _Interrupted(vars(future)["_condition"])
    with pytest.raises(KeyboardInterrupt):
        list(in_order(lambda _: future, tasks([], 1), 1))
    end = threading.Thread(target=future.cancel, daemon=True)
    end.start()
    end.join(timeout=30)
    assert not end.is_alive()


def test_an_answer_that_does_not_come_can_be_interrupted() -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(in_order(lambda _: Future(), tasks([], 1), 1))
