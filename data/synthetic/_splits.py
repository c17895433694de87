"""Synthetic data sets in memory: rendered once, in parallel, and the same for the same arguments."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from lnlattennet._console import progress
from lnlattennet.data._streaming import bounded_map
from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, TRAIN, Nuisance, render_face
from lnlattennet.data.synthetic._one_thread import one_opencv_thread
from lnlattennet.errors import DataError, UsageError

_log = logging.getLogger(__name__)
_CHUNK = 64
_SEEDS_PER_RUN = 2**24
_WORKER = "lnlattennet.data.synthetic._render_worker"


@dataclass(frozen=True)
class RenderedSplit:
    """Seeds and appearance of a split's faces; no two splits share a face for any seed of a run."""

    first_seed: int
    nuisance: Nuisance

    def first_face(self, seed: int) -> int:
        """Return the seed of a run's first face; the next faces have the next seeds."""
        return self.first_seed + seed * _SEEDS_PER_RUN


RENDERED_SPLITS = {
    "train": RenderedSplit(0, TRAIN),
    "val": RenderedSplit(2**36, TRAIN),
    "test": RenderedSplit(2**37, HELD_OUT),
}
"""`val` has other persons than `train`; `test` also has other light, hair, glasses and occluders."""


def render_split(
    split: str, count: int, size: int, *, seed: int = 0, workers: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Render ``count`` faces of a split, the expressions in turn.

    Args:
        split: train, val or test.
        count: number of faces.
        size: side in pixels.
        seed: seed of the run; each gives other persons.
        workers: processes that render.

    Returns:
        RGB images uint8 [count, size, size, 3] and labels int64 [count].
    """
    _check(seed, count)
    images = np.empty((count, size, size, 3), np.uint8)
    fill_split(split, images, seed=seed, workers=workers)
    return images, np.arange(count) % len(EXPRESSIONS)


def fill_split(split: str, images: NDArray[np.uint8], *, seed: int = 0, workers: int = 1) -> None:
    """Render a split into ``images``, uint8 [count, size, size, 3]; see ``render_split``."""
    count, size = images.shape[:2]
    for faces, chunk in rendered_chunks(split, count, size, seed=seed, workers=workers):
        images[faces.start : faces.stop] = chunk


def rendered_chunks(
    split: str, count: int, size: int, *, seed: int = 0, workers: int = 1
) -> Iterator[tuple[range, NDArray[np.uint8]]]:
    """Yield the faces of a split in order, some at a time: numbers, and images uint8 [n, size, size, 3].

    See ``render_split``.
    """
    _check(seed, count)
    ranges = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    with progress(f"rendering {split}", count) as advance:
        for faces, chunk in zip(ranges, _in_parallel(split, ranges, size, seed, workers), strict=True):
            yield faces, chunk
            advance(len(chunk))
    _log.info("rendered %d faces for %s", count, split)


def render_range(split: str, faces: range, size: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return these faces of a split, uint8 [n, size, size, 3]; see ``render_split``."""
    source = RENDERED_SPLITS[split]
    first = source.first_face(seed)
    rendered = [
        render_face(
            first + face,
            EXPRESSIONS[face % len(EXPRESSIONS)],
            size=size,
            nuisance=source.nuisance,
            with_regions=False,
        )
        for face in faces
    ]
    return np.stack([face.image for face in rendered])


class _RenderProcess:
    """A process that renders faces of one split; leaving the ``with`` block ends it.

    A program of its own, not a child of `multiprocessing`: that would be a fork, which torch's threads do
    not survive, or import the caller's main program and, first of all, modules of the current folder.
    """

    def __init__(self, split: str, size: int, seed: int) -> None:
        self._shape = (size, size, 3)
        # A session of its own: Ctrl-C is the parent's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, split, str(seed), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)

    def __enter__(self) -> _RenderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def render(self, faces: range) -> NDArray[np.uint8]:
        """Return these faces of the split.

        Raises:
            DataError: the process ended instead.
        """
        size = len(faces) * int(np.prod(self._shape))
        try:
            self._requests.write(f"{faces.start} {faces.stop}\n".encode())
            self._requests.flush()
            pixels = self._answers.read(size)
        except BrokenPipeError:
            pixels = b""
        if len(pixels) < size:
            code = self._process.wait()
            raise DataError(
                f"a process that renders faces ended early (exit code {code}); its message is above, or the "
                "system ended it for want of memory: set LNLATTENNET_THREADS to fewer"
            )
        return np.frombuffer(pixels, np.uint8).reshape(len(faces), *self._shape)


def _in_parallel(
    split: str, ranges: list[range], size: int, seed: int, workers: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the rendered ranges in order; a single one in this process, which is quicker."""
    if len(ranges) == 1:
        with one_opencv_thread():  # as the processes do
            faces = render_range(split, ranges[0], size, seed=seed)
        yield faces
        return
    idle: SimpleQueue[_RenderProcess] = SimpleQueue()

    def render(faces: range) -> NDArray[np.uint8]:
        process = idle.get()
        try:
            return process.render(faces)
        finally:
            idle.put(process)

    workers = min(workers, len(ranges))
    with ExitStack() as stack:
        for _ in range(workers):
            idle.put(stack.enter_context(_RenderProcess(split, size, seed)))
        yield from bounded_map(render, ranges, workers)


def _check(seed: int, count: int) -> None:
    if not 0 <= seed < 4096 or not 0 < count <= _SEEDS_PER_RUN:
        raise UsageError(
            f"the seed must be from 0 to 4095 and the images of a split from 1 to {_SEEDS_PER_RUN}, "
            f"got seed {seed} and {count} images"
        )
