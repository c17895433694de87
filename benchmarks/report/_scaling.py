"""Charts of how time grows with one size, of a record of such sweeps: both scales are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet._charts import LogAxis, Tick
from lnlattennet._statistics import Estimate, median_interval
from lnlattennet.benchmarks.harness._record import WARM
from lnlattennet.benchmarks.report._numbers import duration, round_duration
from lnlattennet.benchmarks.scaling._rows import CANDIDATE

_STEPS = {10**9: "G", 10**6: "M", 10**3: "k"}


@dataclass(frozen=True)
class Point:
    """The median at one size and the ends of its interval; positions in percent from the left and the top."""

    text: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Sweep:
    """All sizes of one kind.

    Attributes:
        what: what is timed.
        unit: of what the size is a number.
        exponent: slope of log time over log size with its interval; "" where it is not known.
        points: from the smallest size.
        line: of this slope, as (x1, y1, x2, y2); None likewise.
        x_ticks: sizes.
        y_ticks: times.
    """

    what: str
    unit: str
    exponent: str
    points: tuple[Point, ...]
    line: tuple[float, float, float, float] | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def sweeps(record: Mapping[str, Any]) -> list[Sweep]:
    """Return a chart for each sweep; none of a record of another kind."""
    return [_sweep(name, facts, record) for name, facts in record.get("sweeps", {}).items()]


def _sweep(name: str, facts: Mapping[str, Any], record: Mapping[str, Any]) -> Sweep:
    times = {
        case["config"]["size"]: median_interval(case["candidates"][CANDIDATE]["timings"][WARM]["samples_us"])
        for case in record["cases"]
        if case["config"]["sweep"] == name
    }
    across = LogAxis.around(times)
    upwards = LogAxis.around([end for time in times.values() for end in time])
    what, _, unit = facts["what"].rpartition(", ")
    return Sweep(
        what=what,
        unit=unit,
        exponent=Estimate(*facts["exponent"]).text() if facts["exponent"] else "",
        points=tuple(_point(size, unit, time, across, upwards) for size, time in times.items()),
        line=_line(times, facts["exponent"][0], across, upwards) if facts["exponent"] else None,
        x_ticks=tuple(across.labels(_short)),
        y_ticks=tuple(Tick(_top(upwards, tick), round_duration(tick)) for tick in upwards.ticks()),
    )


def _point(size: int, unit: str, time: Estimate, across: LogAxis, upwards: LogAxis) -> Point:
    y, low, high = (_top(upwards, value) for value in time)
    return Point(f"{size:,} {unit}: {duration(time.value)}", across.at(size), y, low, high)


def _line(
    times: Mapping[int, Estimate], exponent: float, across: LogAxis, upwards: LogAxis
) -> tuple[float, float, float, float]:
    """Return the line of least squares, which goes through the means of the logarithms."""
    sizes = np.log(list(times))
    middle = np.mean([math.log(time.value) for time in times.values()])
    first, last = (math.exp(middle + exponent * (end - sizes.mean())) for end in (sizes[0], sizes[-1]))
    ends = (across.at(math.exp(end)) for end in (sizes[0], sizes[-1]))
    x1, x2 = ends
    return x1, _top(upwards, first), x2, _top(upwards, last)


def _top(axis: LogAxis, value: float) -> float:
    return round(100 - axis.at(value), 2)


def _short(size: float) -> str:
    """Return a size in few characters, such as "200k"."""
    step, letter = next(((step, letter) for step, letter in _STEPS.items() if size >= step), (1, ""))
    return f"{size / step:g}{letter}"
