"""Regions of shared memory in which a client hands tensors to a server on the same machine."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ServingError

SMALLEST_SHARED = 2**16
"""Bytes from which a tensor is worth a region: a face of 3x112x112 float32 has 150,000."""


_FOLDER = Path("/dev/shm")  # noqa: S108


class Region:
    """One region; its name is the one that the server knows it by, too.

    Attributes:
        registered: whether the server has mapped it.

    Raises:
        ServingError: there is no shared memory.
    """

    def __init__(self, size: int) -> None:
        self.name = f"lnlattennet-client-{os.getpid()}-{secrets.token_hex(8)}"
        self.size = size
        self.registered = False
        self._reserved = 0
        with _room(size):
            self._memory = SharedMemory(self.name, create=True, size=size)

    def write(self, array: NDArray[Any]) -> None:
        """Copy an array to the region's start.

        Raises:
            ServingError: there is too little shared memory.
        """
        if array.nbytes > self._reserved:
            # Memory that turns out to be missing while it is written ends the process by a signal (SIGBUS).
            with _room(array.nbytes), (_FOLDER / self.name).open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, array.nbytes)
            self._reserved = array.nbytes
        np.ndarray(array.shape, array.dtype, buffer=self._memory.buf)[...] = array

    def remove(self) -> None:
        """Give the memory back; a server that has mapped it keeps it until it lets go."""
        self._memory.close()
        self._memory.unlink()


@contextmanager
def _room(size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServingError(
            f"{_FOLDER} cannot hold a tensor of {size:,} bytes ({error.strerror}): send fewer crops at "
            "once, or make the client without shared_memory"
        ) from error


class RegionPool:
    """Regions that are not in use; it may be used by many threads."""

    def __init__(self) -> None:
        self._free: deque[Region] = deque()

    def take(self, size: int) -> Region:
        """Return a region of at least ``size`` bytes, a new one if there is none."""
        for _ in range(len(self._free)):
            try:
                region = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if region.size >= size:
                return region
            self._free.appendleft(region)
        # Powers of two, so that batches of different sizes share regions.
        return Region(1 << (size - 1).bit_length())

    def give_back(self, region: Region) -> None:
        """Keep a region for the next request."""
        self._free.append(region)

    def empty(self) -> Iterator[Region]:
        """Take out every region."""
        while self._free:
            yield self._free.pop()
