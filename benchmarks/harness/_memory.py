"""Memory of processes: the proportional set size, which counts what several of them share once."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from lnlattennet.errors import LnlAttenNetError

_PERIOD = 0.5
"""Seconds between two looks at the memory of a command; a look takes 20 ms or more of a core."""


def descendants(pid: int) -> list[int]:
    """Return a process and all that it and they started and are alive."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += descendants(int(child))
    return found


def proportional_set_size(pid: int, kinds: Collection[str] = ("Pss",)) -> int:
    """Return bytes of a process, 0 if it has ended; ``kinds`` are names of lines in its smaps_rollup."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(int(size) * 1024 for name, size, _ in fields if name.rstrip(":") in kinds)
    return 0


def resident_size(field: Literal["VmRSS", "VmHWM"], pid: int | None = None) -> int:
    """Return the bytes that a process has in memory, or (VmHWM) has had at most; 0 if it has ended.

    Args:
        field: the line of its status.
        pid: the process; None is this one.
    """
    with suppress(OSError):
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
        if found := re.search(rf"{field}:\s+(\d+) kB", status):
            return 1024 * int(found[1])
    return 0


def peak_memory(command: Sequence[str]) -> int:
    """Run a command to its end; return the most bytes that it and what it started were seen to take.

    Raises:
        LnlAttenNetError: it failed.
    """
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while True:
            peak = max(peak, sum(map(proportional_set_size, descendants(process.pid))))
            with suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=_PERIOD)
                break
    if process.returncode:
        raise LnlAttenNetError(f"{command[0]} failed:\n{errors}")
    return peak
