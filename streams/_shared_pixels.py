"""Pixels of frames in memory that processes share: sent through a pipe they would be copied several times."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.streams._answers import Task

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class SentTask:
    """A task for another process.

    Attributes:
        task: the task, without the pixels of its frame if there is a ``start``.
        start: first byte of its pixels in the shared memory; None if they are in the task, or it has none.
        shape: of its pixels.
    """

    task: Task
    start: int | None = None
    shape: tuple[int, ...] = ()


class SharedPixels:
    """Memory for the pixels of several batches, written in turn; give it to a process as it starts.

    It has no name that could outlive a process that is killed, and is not in /dev/shm, which containers keep
    small.

    Args:
        batches: after as many others, a batch takes the place of the first one.
        size: bytes of a batch.
    """

    def __init__(self, batches: int, size: int) -> None:
        fd = os.memfd_create("frames")
        os.ftruncate(fd, max(batches * size, 1))
        self._open(fd, batches, size)

    def _open(self, fd: int, batches: int, size: int) -> None:
        self._fd, self._batches, self._size = fd, batches, size
        self._memory = np.frombuffer(mmap.mmap(fd, 0), np.uint8)
        self._next = 0

    def __reduce__(self) -> tuple[Callable[..., SharedPixels], tuple[Any, int, int]]:
        return _opened, (DupFd(self._fd), self._batches, self._size)

    def __del__(self) -> None:
        os.close(self._fd)

    @classmethod
    def for_tasks(cls, tasks: Iterable[Task], batches: int, batch: int) -> SharedPixels:
        """Return memory for batches of ``batch`` tasks like these; a larger frame goes without."""
        images = (task.frame.image for task in tasks)
        sizes = (image.nbytes for image in images if isinstance(image, np.ndarray))
        return cls(batches, batch * max(sizes, default=0))

    def send(self, tasks: Iterable[Task]) -> list[SentTask]:
        """Copy the pixels of a batch, as far as they fit."""
        start = self._next % self._batches * self._size
        end = start + self._size
        self._next += 1
        sent = []
        for task in tasks:
            image = task.frame.image
            if isinstance(image, np.ndarray) and image.nbytes <= end - start:
                self._pixels(start, image.shape)[:] = image
                sent.append(SentTask(_with_image(task, _NO_PIXELS), start, image.shape))
                start += image.nbytes
            else:
                sent.append(SentTask(task))
        return sent

    def receive(self, sent: Sequence[SentTask]) -> list[Task]:
        """Return a batch that was sent; its pixels change when its place is taken by another."""
        return [
            item.task if item.start is None else _with_image(item.task, self._pixels(item.start, item.shape))
            for item in sent
        ]

    def _pixels(self, start: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return self._memory[start : start + int(np.prod(shape))].reshape(shape)


def _opened(duplicate: Any, batches: int, size: int) -> SharedPixels:
    pixels = SharedPixels.__new__(SharedPixels)
    pixels._open(duplicate.detach(), batches, size)
    return pixels


def _with_image(task: Task, image: NDArray[np.uint8]) -> Task:
    return replace(task, frame=replace(task.frame, image=image))
