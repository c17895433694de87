"""Chart of latency against throughput, of a record that has rates: a panel for each image.

Only loads with a fixed number of requests in flight are on it: where requests come at times of their own,
their rate is that of the load, not of the server.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet._charts import LogAxis, Tick
from lnlattennet.benchmarks.harness._samples import read_samples
from lnlattennet.benchmarks.report._numbers import duration, round_duration

_COLORS = 8


@dataclass(frozen=True)
class Point:
    """A candidate under one load; positions in percent from the left and the top.

    Attributes:
        text: what it shows, in words.
        x: answers a second.
        y: median latency.
        y99: 99th percentile of the latency.
    """

    text: str
    x: float
    y: float
    y99: float


@dataclass(frozen=True)
class Series:
    """A candidate under every load of a panel, from few requests in flight to many.

    Attributes:
        style: classes of its color and, beyond as many candidates as colors, of hollow dots.
        points: its loads.
    """

    style: str
    points: tuple[Point, ...]

    @property
    def steps(self) -> list[tuple[Point, Point]]:
        """Each point with the next."""
        return list(itertools.pairwise(self.points))


@dataclass(frozen=True)
class Panel:
    """The loads of one image; ``x_ticks`` are answers a second, ``y_ticks`` latencies."""

    name: str
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Throughput:
    """All panels, and the candidates, each with its style."""

    candidates: Mapping[str, str]
    panels: tuple[Panel, ...]


def throughput(record: Mapping[str, Any]) -> Throughput | None:
    """Return the chart; None for a record without rates."""
    if "requests_per_second" not in record:
        return None
    rates: Mapping[str, Mapping[str, Sequence[float]]] = record["requests_per_second"]
    closed = [case["name"] for case in record["cases"] if not case["config"].get("mean_gap_us")]
    images: dict[str, list[str]] = {}
    for case in rates:
        if case in closed:
            images.setdefault(case.partition(", ")[0], []).append(case)
    if not images:
        return None
    names = dict.fromkeys(name for by_name in rates.values() for name in by_name)
    styles = {name: _style(number) for number, name in enumerate(names)}
    latencies = read_samples(record)
    panels = []
    for image, cases in images.items():
        found = {
            (name, case): _figures(rates[case][name], latencies[case][name]["warm"])
            for name in names
            for case in cases
            if name in rates[case]
        }
        panels.append(_panel(image, styles, found))
    return Throughput(styles, tuple(panels))


def _style(number: int) -> str:
    return f"c{number % _COLORS}" + " hollow" * (number >= _COLORS)


def _figures(rates: Sequence[float], latencies: Sequence[float]) -> tuple[float, float, float]:
    """Return answers a second, and the latency's median and 99th percentile."""
    p50, p99 = np.percentile(latencies, [50, 99])
    return float(np.median(rates)), float(p50), float(p99)


def _panel(
    image: str, styles: Mapping[str, str], found: Mapping[tuple[str, str], tuple[float, float, float]]
) -> Panel:
    across = LogAxis.around([rate for rate, _, _ in found.values()])
    upwards = LogAxis.around([value for _, *values in found.values() for value in values])
    points: dict[str, list[Point]] = {}
    for (name, case), (rate, p50, p99) in found.items():
        text = f"{name}, {case}: {rate:.1f} a second, p50 {duration(p50)}, p99 {duration(p99)}"
        y, y99 = (round(100 - upwards.at(value), 2) for value in (p50, p99))
        points.setdefault(name, []).append(Point(text, across.at(rate), y, y99))
    series = tuple(Series(styles[name], tuple(loads)) for name, loads in points.items())
    y_ticks = tuple(Tick(round(100 - tick.at, 2), tick.text) for tick in upwards.labels(round_duration))
    return Panel(image, series, tuple(across.labels("{:g}".format)), y_ticks)
