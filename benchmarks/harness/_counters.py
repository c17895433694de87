"""Hardware counters around calls: cycles, instructions, cache misses, processor time and energy.

Linux only, by perf_event_open(2). A virtual machine rarely has the first three, and energy is for root alone,
so each counter is there or has a reason why it is not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lnlattennet.benchmarks.harness._energy import COUNTED, Energy

JOULES = "joules"

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_EVENTS = {
    # name: (type, event, size of one count), as linux/perf_event.h numbers them
    "cycles": (0, 0, 1.0),
    "instructions": (0, 1, 1.0),
    "cache_misses": (0, 3, 1.0),
    "processor_seconds": (1, 1, 1e-9),
}
_ATTRIBUTE_BYTES = 128
_WITH_TIMES = 0b11
"""Read format: the times that an event was wanted and counted, which differ where it shares a register."""
_INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
_REASONS = {
    errno.ENOENT: "this machine has no such counter, as most virtual ones",
    errno.EACCES: "kernel.perf_event_paranoid forbids it",
    errno.EPERM: "kernel.perf_event_paranoid or the container forbids it",
}


class Counters:
    """Counters of all threads of this process and of those that they start, and of the machine's energy.

    Attributes:
        states: name -> "counted", or why it is not.
    """

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self._events: dict[str, list[int]] = {}
        self._energy = Energy()
        self._tallies: dict[str, dict[str, Tally]] = {}
        for name, (kind, event, _) in _EVENTS.items():
            try:
                self._events[name] = _open_all(kind, event)
                self.states[name] = COUNTED
            except OSError as error:
                self.states[name] = _REASONS.get(error.errno or 0, error.strerror or "unknown")
        self.states[JOULES] = self._energy.state

    def __enter__(self) -> Counters:
        return self

    def __exit__(self, *_: object) -> None:
        for event in self._events.values():
            _close(event)

    def around(self, candidate: str, state: str) -> Tally:
        """Return what counts the calls of a candidate in a state of the caches, each in a ``with`` block."""
        return self._tallies.setdefault(candidate, {}).setdefault(state, Tally(self))

    def per_call(self, candidate: str) -> dict[str, dict[str, float]]:
        """Return the means of a candidate's calls, by state of the caches and counter."""
        return {state: tally.per_call() for state, tally in self._tallies.get(candidate, {}).items()}

    def read(self) -> dict[str, float]:
        """Return what was counted so far; the energy of all processors together."""
        counts = {name: _EVENTS[name][2] * sum(map(_read, event)) for name, event in self._events.items()}
        return counts | ({JOULES: self._energy.joules()} if self._energy.state == COUNTED else {})


class Tally:
    """What was counted during calls, each in a ``with`` block."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._sums: Counter[str] = Counter()
        self._calls = 0

    def __enter__(self) -> None:
        self._before = self._counters.read()

    def __exit__(self, *_: object) -> None:
        after = self._counters.read()
        self._sums.update({name: after[name] - before for name, before in self._before.items()})
        self._calls += 1

    def per_call(self) -> dict[str, float]:
        """Return the mean of a call, by counter."""
        return {name: value / self._calls for name, value in self._sums.items()}


def counter_states() -> dict[str, str]:
    """Return counter -> "counted", or why it is not there on this machine."""
    with Counters() as counters:
        return counters.states


def _open_all(kind: int, event: int) -> list[int]:
    """Open an event for every thread of this process.

    Raises:
        OSError: the system does not count it.
    """
    opened: list[int] = []
    try:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended
                opened.append(_open(kind, event, int(thread.name)))
    except OSError:
        _close(opened)
        raise
    return opened


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _open(kind: int, event: int, thread: int) -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no number of perf_event_open is known for {platform.machine()}")
    attribute = bytearray(_ATTRIBUTE_BYTES)
    struct.pack_into("IIQ", attribute, 0, kind, _ATTRIBUTE_BYTES, event)
    struct.pack_into("QQ", attribute, 32, _WITH_TIMES, _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR)
    system = ctypes.CDLL(None, use_errno=True)
    descriptor: int = system.syscall(
        number, (ctypes.c_char * _ATTRIBUTE_BYTES).from_buffer(attribute), thread, -1, -1, 0
    )
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def _read(descriptor: int) -> float:
    value, wanted, counted = struct.unpack("QQQ", os.read(descriptor, 24))
    return float(value * wanted / counted) if counted else 0.0
