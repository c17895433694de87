"""Pulse of the processes of python models: whether each one goes on, which no server tells.

A process touches a file of its own in shared memory while it is idle or answers one request after the other.
Who started the server looks at these files. A process whose file stays as it is either works on for long, or
hangs: stopped, waiting in a request for what never comes, or in an endless loop.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lnlattennet.serving.triton._processes import cpu_ticks, has_work

VARIABLE = "LNLATTENNET_PULSES"
"""Environment variable of a watched server: where its processes have their files; each adds its number."""

_BEAT_SECONDS = 0.2

_IDLE_SECONDS = 1.0
"""Time without a beat, and without anything to compute, after which a process hangs."""

_PATIENCE_SECONDS = 60.0
"""Time without a beat after which a process hangs though it computes."""


class Pulse:
    """The pulse of this process, if someone watches."""

    def __init__(self) -> None:
        self._begun, self._working = 0, False
        self._stopped = threading.Event()
        self._file: Path | None = None
        if prefix := os.environ.get(VARIABLE):
            self._file = Path(f"{prefix}{os.getpid()}")
            self._file.touch()
            threading.Thread(target=self._beat, args=[self._file], name="pulse", daemon=True).start()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Answer requests during the block; one that takes long stops the pulse."""
        self._begun += 1
        self._working = True
        try:
            yield
        finally:
            self._working = False

    def close(self) -> None:
        """End it."""
        self._stopped.set()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _beat(self, file: Path) -> None:
        seen = 0
        while not self._stopped.wait(_BEAT_SECONDS):
            if self._working and self._begun == seen:
                continue
            seen = self._begun
            try:
                os.utime(file)
            except FileNotFoundError:
                # The server was stopped.
                return


@dataclass
class _Seen:
    beat: int
    since: float
    ticks: int
    idle_since: float


class Pulses:
    """The pulses of a server's processes, looked at now and then.

    Args:
        prefix: what the server's processes find in ``VARIABLE``.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._seen: dict[int, _Seen] = {}

    def hung(self, pids: Collection[int]) -> list[int]:
        """Return those of the processes that hang; one without a file, which still loads, does not."""
        suspects = [pid for pid in pids if self._hangs(pid)]
        if not suspects:
            return []
        # Whatever stopped this process, too, such as a pause of its container, may just have ended.
        time.sleep(1.5 * _BEAT_SECONDS)
        return [pid for pid in pids if self._hangs(pid)]

    def forget(self, pids: Iterable[int]) -> None:
        """Remove what processes that were killed left behind."""
        for pid in pids:
            self._file(pid).unlink(missing_ok=True)
            self._seen.pop(pid, None)

    def _file(self, pid: int) -> Path:
        return Path(f"{self.prefix}{pid}")

    def _hangs(self, pid: int) -> bool:
        try:
            beat = self._file(pid).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        now, ticks = time.monotonic(), cpu_ticks(pid)
        seen = self._seen.get(pid)
        if seen is None or seen.beat != beat:
            self._seen[pid] = _Seen(beat, now, ticks, now)
            return False
        if ticks != seen.ticks or has_work(pid):
            seen.ticks, seen.idle_since = ticks, now
        return now - seen.idle_since > _IDLE_SECONDS or now - seen.since > _PATIENCE_SECONDS
