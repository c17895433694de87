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
from lnlattennet._statistics import p99
from lnlattennet.benchmarks.harness._samples import read_samples
from lnlattennet.benchmarks.report._numbers import duration, round_duration

_COLORS = 8

_Figures = tuple[float, float, float | None]
"""Answers a second, and the latency's median and 99th percentile, which too few requests do not have."""


@dataclass(frozen=True)
class Point:
    """A candidate under one load; positions in percent from the left and the top.

    Attributes:
        text: what it shows, in words.
        x: answers a second.
        y: median latency.
        y99: 99th percentile of the latency; None of too few requests.
    """

    text: str
    x: float
    y: float
    y99: float | None


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


def _figures(rates: Sequence[float], latencies: Sequence[float]) -> _Figures:
    return float(np.median(rates)), float(np.median(latencies)), p99(latencies)


def _panel(image: str, styles: Mapping[str, str], found: Mapping[tuple[str, str], _Figures]) -> Panel:
    across = LogAxis.around([rate for rate, _, _ in found.values()])
    upwards = LogAxis.around(
        [value for _, *values in found.values() for value in values if value is not None]
    )

    def height(latency: float) -> float:
        return round(100 - upwards.at(latency), 2)

    points: dict[str, list[Point]] = {}
    for (name, case), (rate, median, tail) in found.items():
        text = f"{name}, {case}: {rate:.1f} a second, p50 {duration(median)}"
        text += "" if tail is None else f", p99 {duration(tail)}"
        y99 = None if tail is None else height(tail)
        points.setdefault(name, []).append(Point(text, across.at(rate), height(median), y99))
    series = tuple(Series(styles[name], tuple(loads)) for name, loads in points.items())
    y_ticks = tuple(Tick(round(100 - tick.at, 2), tick.text) for tick in upwards.labels(round_duration))
    return Panel(image, series, tuple(across.labels("{:g}".format)), y_ticks)
