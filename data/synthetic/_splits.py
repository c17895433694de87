"""Synthetic data sets in memory: rendered once, in parallel, and the same for the same arguments."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lnlattennet._console import stderr
from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, TRAIN, Nuisance, render_face
from lnlattennet.errors import DataError, UsageError

_log = logging.getLogger(__name__)
_CHUNK = 64
_SEEDS_PER_RUN = 2**24
_Render = Callable[[range], NDArray[np.uint8]]


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
    _check(seed, count)
    source = RENDERED_SPLITS[split]
    first = source.first_face(seed)
    starts = range(0, count, _CHUNK)
    ranges = [range(first + start, first + min(start + _CHUNK, count)) for start in starts]
    render = partial(_render_chunk, first=first, size=size, nuisance=source.nuisance)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(f"rendering {split}", total=count)
        for start, chunk in zip(starts, _in_parallel(render, ranges, workers), strict=True):
            images[start : start + len(chunk)] = chunk
            progress.advance(task, len(chunk))
    _log.info("rendered %d faces for %s", count, split)


def _in_parallel(render: _Render, ranges: list[range], workers: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the rendered chunks in order; a single one in this process, which is quicker."""
    if len(ranges) == 1:
        # As the processes do; see render_face.
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield render(ranges[0])
        finally:
            cv2.setNumThreads(threads)
        return
    # Spawned, not forked: torch's threads in the parent do not survive a fork.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=_start_worker) as pool:
            yield from pool.map(render, ranges)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that renders faces ended early: too little memory, or a program that starts its work "
            'outside `if __name__ == "__main__":`, which such processes import'
        ) from error


def _check(seed: int, count: int) -> None:
    if not 0 <= seed < 4096 or not 0 < count <= _SEEDS_PER_RUN:
        raise UsageError(
            f"the seed must be from 0 to 4095 and the images of a split from 1 to {_SEEDS_PER_RUN}, "
            f"got seed {seed} and {count} images"
        )


def _start_worker() -> None:
    # Ctrl-C is the parent's to handle; and one renderer per core needs no threads of OpenCV's own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _render_chunk(seeds: range, *, first: int, size: int, nuisance: Nuisance) -> NDArray[np.uint8]:
    faces = [
        render_face(
            seed,
            EXPRESSIONS[(seed - first) % len(EXPRESSIONS)],
            size=size,
            nuisance=nuisance,
            with_regions=False,
        )
        for seed in seeds
    ]
    return np.stack([face.image for face in faces])
