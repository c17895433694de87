"""How busy other programs kept the machine while a benchmark ran.

A benchmark may use all cores itself, so neither the load average nor the CPU pressure tells whether it was
alone. This does: the time that the CPUs worked, minus that of the benchmark's own processes, plus the time
that a hypervisor gave to other machines. Pressure and load are kept beside it. Linux only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

QUIET = 0.05
"""Largest share of the CPUs that others may take: a benchmark on all cores then takes that much longer, and
`lnlattennet bench compare --fail-on-regression 5%` would call it slower."""

_SHORTEST = 1.0
"""Seconds of a lap: the system counts in hundredths, for each process."""

_TICK = os.sysconf("SC_CLK_TCK")
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7
"""Columns of a CPU in /proc/stat. Interrupts belong to no program."""
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of /proc/PID/stat behind the name: own time, and that of the children that ended."""


@dataclass(frozen=True)
class Lap:
    """A part of a run; it ends when a case is measured.

    Attributes:
        seconds: duration.
        own_cpus: CPUs that the benchmark and the processes below it kept busy, on average.
        other_cpus: CPUs that other programs kept busy.
        stolen_cpus: CPUs that the hypervisor gave to other machines while this one wanted them.
        waiting: share of the time in which a program of the machine waited for a CPU; None if the system does
            not say. The benchmark's own threads count, if there are more of them than CPUs.
        load_average: processes that were running or waiting at the end, over the last minute.
        clock_mhz: mean clock of the CPUs at the end; None if the system does not say.
    """

    seconds: float
    own_cpus: float
    other_cpus: float
    stolen_cpus: float
    waiting: float | None
    load_average: float
    clock_mhz: float | None


@dataclass(frozen=True)
class Load:
    """The machine before and during a run.

    Attributes:
        cpus: CPUs that this process may run on.
        pressure_before: CPU pressure in the 10 seconds before ("some avg10"), in percent; None if unknown.
        load_average_before: processes that were running or waiting, over the minute before.
        laps: the parts of the run.
        others: largest share of the CPUs that others took in a lap; None if no lap was long enough to tell.
        quiet: whether it is at most 5%; None likewise.
    """

    cpus: int
    pressure_before: float | None
    load_average_before: float
    laps: tuple[Lap, ...] = ()
    others: float | None = None
    quiet: bool | None = None

    def with_lap(self, lap: Lap) -> Load:
        """Return it with one more lap."""
        others = max(self.others or 0.0, round((lap.other_cpus + lap.stolen_cpus) / self.cpus, 4))
        return replace(self, laps=(*self.laps, lap), others=others, quiet=others <= QUIET)

    def warning(self) -> str:
        """Return a line for people whose machine was not quiet, else ""."""
        if self.others is None or self.quiet:
            return ""
        return (
            f"warning: the machine was not quiet: others took {self.others:.0%} of its {self.cpus} CPUs, and "
            f"above {QUIET:.0%} figures differ by as much; end other programs, and measure again"
        )


@dataclass(frozen=True)
class _Counters:
    """Seconds since the start of the machine, and of processes; None where the system does not say."""

    clock: float
    own: float
    busy: float
    stolen: float
    waiting: float | None


class Watch:
    """Watches the machine from its creation on.

    A process that its parent leaves behind counts as another program.
    """

    def __init__(self) -> None:
        self._cpus = os.sched_getaffinity(0)
        self.load = Load(len(self._cpus), _pressure("avg10"), os.getloadavg()[0])
        self._before = self._read()

    def lap(self) -> None:
        """End a lap, unless it was too short to tell: then it becomes a part of the next one."""
        now, before = self._read(), self._before
        if now is None or before is None or now.clock - before.clock < _SHORTEST:
            return
        seconds = now.clock - before.clock
        own, busy, stolen = (
            (getattr(now, name) - getattr(before, name)) / seconds for name in ("own", "busy", "stolen")
        )
        waiting = None
        if now.waiting is not None and before.waiting is not None:
            waiting = round((now.waiting - before.waiting) / seconds, 4)
        lap = Lap(
            seconds=round(seconds, 2),
            own_cpus=round(own, 3),
            # Both are counted in ticks, but not at the same moments.
            other_cpus=round(max(0.0, busy - own), 3),
            stolen_cpus=round(stolen, 3),
            waiting=waiting,
            load_average=os.getloadavg()[0],
            clock_mhz=_clock(self._cpus),
        )
        self.load = self.load.with_lap(lap)
        self._before = now

    def _read(self) -> _Counters | None:
        ticks = _cpu_ticks(self._cpus)
        if not ticks:
            return None
        busy = sum(cpu[_USER] + cpu[_NICE] + cpu[_SYSTEM] for cpu in ticks)
        stolen = sum(cpu[_STEAL] for cpu in ticks)
        waiting = _pressure("total")
        return _Counters(
            clock=time.monotonic(),
            own=own_ticks(os.getpid()) / _TICK,
            busy=busy / _TICK,
            stolen=stolen / _TICK,
            waiting=None if waiting is None else waiting / 1e6,
        )


def own_ticks(root: int) -> int:
    """Return the processor time, in ticks, of a process and of all below it that run or have ended."""
    parents, times = {}, {}
    for process, fields in processes():
        parents[process], times[process] = int(fields[_PARENT]), sum(map(int, fields[_TIMES]))

    def below(process: int) -> bool:
        while process not in (root, 0):
            process = parents.get(process, 0)
        return process == root

    return sum(ticks for process, ticks in times.items() if below(process))


def processes() -> Iterator[tuple[int, list[str]]]:
    """Yield every process of the machine with the fields of its `stat` behind the name."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name before may hold spaces and parentheses.
            yield int(folder.name), (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended


def _cpu_ticks(cpus: set[int]) -> list[list[int]]:
    lines = (line.split() for line in _text("/proc/stat").splitlines())
    names = {f"cpu{number}" for number in cpus}
    return [list(map(int, columns)) for name, *columns in filter(None, lines) if name in names]


def _pressure(key: str) -> float | None:
    found = re.search(rf"^some .*\b{key}=([\d.]+)", _text("/proc/pressure/cpu"))
    return float(found.group(1)) if found else None


def _clock(cpus: set[int]) -> float | None:
    clocks = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text("/proc/cpuinfo"), re.MULTILINE)
    own = [float(clock) for number, clock in enumerate(clocks) if number in cpus]
    return round(sum(own) / len(own), 1) if own else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
