"""Which faces go through an engine together, at which batch sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lnlattennet.runtimes._base import BatchRange

Order = NDArray[np.int64]
"""Indices of the faces of one batch, [size]."""


def batch_sizes(batch: BatchRange) -> list[int]:
    """Return the sizes to check: both ends, the optimum, one image, and odd and even ones between."""
    # The last is the smallest odd size of several images.
    wanted = {batch.minimum, 1, 2, 5, batch.optimum, batch.maximum, max(3, batch.minimum | 1)}
    return sorted(size for size in wanted if batch.minimum <= size <= batch.maximum)


def arrangements(size: int, faces: int, *, every_face: bool, seed: int = 0) -> Iterator[Order]:
    """Give the batches of one size: faces beside others, then again in other places and beside yet others.

    The first batch's faces come three times: in order, in reverse (other places, same neighbours), and every
    second of them in its place between other faces. Faces are shuffled, so that a batch is never of one
    kind; if there are fewer than ``size``, some come twice in a batch. One size costs about ``3 * size``
    images, or ``faces + 2 * size`` with every face.

    Args:
        size: images per batch.
        faces: how many there are, 1 or more.
        every_face: go through all faces; else only the first batch's and as many others.
        seed: of the shuffle, with ``size``.
    """
    shuffled = np.random.default_rng((seed, size)).permutation(faces)
    number = -(-faces // size) if every_face else 1
    # Twice as many as needed, so that the mixed batch below has other faces to take.
    turns = np.resize(shuffled, (number + 1) * size)
    first, others = turns[:size], turns[size : 2 * size]
    for start in range(0, number * size, size):
        yield turns[start : start + size]
    yield first[::-1].copy()
    yield np.where(np.arange(size) % 2 == 0, first, others)
