"""Settings of a Python model's process where they differ from those that the server was started with."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""

_BLOCK_BYTES, _KEPT_BYTES = 8 << 20, 16 << 20
"""Blocks from this size on are given back at once, and beyond so many bytes of smaller ones.

With half and a quarter of these, which is right for the server, every 1080p image was decoded into 500 pages
that the kernel had to map anew.
"""


def set_up_process() -> None:
    """Run the threads of this process, also later ones, as ordinary ones, and keep the pages of images."""
    _leave_batch_policy()
    libc = ctypes.CDLL(None)
    # Other C libraries have no mallopt, and no such thresholds.
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _leave_batch_policy() -> None:
    """Undo the scheduling policy that only the server's own threads need.

    Here it would only let other programs go first: beside two of them a lone request took a sixth longer.
    """
    for thread in (int(folder.name) for folder in Path("/proc/self/task").iterdir()):
        with suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_BATCH:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
