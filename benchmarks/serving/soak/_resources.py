"""What a server holds: memory, file descriptors, shared memory, folders and processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from lnlattennet.benchmarks.harness._server import Server

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True)
class Holding:
    """What a server holds while it is asked nothing.

    Attributes:
        seconds: since the start of the soak.
        memory_bytes: what all its processes have written, a page of several counted once.
        descriptors: their open files and sockets.
        segments: files in /dev/shm.
        folders: entries of its folder for temporary files.
        processes: how many there are.
    """

    seconds: float
    memory_bytes: int
    descriptors: int
    segments: int
    folders: int
    processes: int

    @classmethod
    def of(cls, server: Server, folder: Path, started: float) -> Holding:
        """Look at a server, whose temporary files are in ``folder``."""
        pids = server.pids()
        return cls(
            seconds=round(time.monotonic() - started, 2),
            memory_bytes=server.written_bytes(),
            descriptors=sum(_descriptors(pid) for pid in pids),
            segments=len(segments(server.pid)),
            folders=sum(1 for _ in folder.iterdir()),
            processes=len(pids),
        )


def segments(pid: int) -> list[Path]:
    """Return the shared memory of the `lnlattennet serve` with this process id."""
    return [*_SHARED_MEMORY.glob(f"lnlattennet-{pid}-*")]


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose command line names a folder: a server and its python models."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{folder}/".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def growth(values: Sequence[float]) -> float:
    """Return the growth along a line through all values, over their median; single peaks do not tell."""
    slope = stats.theilslopes(values).slope
    return float(slope * (len(values) - 1) / np.median(values))


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0
