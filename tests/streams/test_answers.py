"""Answers come in order, and as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

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
