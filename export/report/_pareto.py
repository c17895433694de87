"""Pareto front of latency against agreement with the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lnlattennet._charts import PLOT_HEIGHT, LinearAxis, LogAxis, Tick
from lnlattennet.export.report import _formatting as numbers
from lnlattennet.export.report._checks import metric_of
from lnlattennet.export.report._latency import latency_at, timed_batches

_METRICS = ("kl", "top1_agreement")
_PADDING = 30
_LEAST_KL, _MOST_KL = 1e-9, 1e3
"""A smaller divergence is rounding: it neither makes an engine better than another nor fits the scale."""

# Labels are placed for the narrowest page; on a wider one the points only move apart.
_NARROWEST = 270
_LABEL_OFFSETS = [
    (dx * radius, dy * radius)
    for radius in (17, 26, 36)
    for dx, dy in ((0, -1), (-1, -1), (-1, 0), (1, -1), (1, 1), (0, 1), (-1, 1), (1, 0))
]
_LABEL_GAP = 15


@dataclass(frozen=True)
class FrontRow:
    """A timed engine.

    Attributes:
        number: its number in the plots, from 1.
        name: its name.
        selected: whether it serves.
        latency: batch size to its latency in the manifest, or None if it was not timed at this size.
        agreement: metric to its value in the manifest; None if it was not checked.
    """

    number: int
    name: str
    selected: bool
    latency: dict[int, dict[str, Any] | None]
    agreement: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Point:
    """An engine in a plot.

    Attributes:
        number: its number.
        name: its name.
        selected: whether it serves.
        on_front: whether no other engine is better in both.
        x: position in percent of the width.
        y: position in pixels from the top.
        label: offset of the number from the point, in pixels.
        latency: median in milliseconds.
        value: text of the agreement.
    """

    number: int
    name: str
    selected: bool
    on_front: bool
    x: float
    y: float
    label: tuple[float, float]
    latency: float
    value: str


@dataclass(frozen=True, kw_only=True)
class FrontPlot:
    """A plot of one metric against the latency at one batch size.

    Attributes:
        batch: batch size.
        metric: name of the metric.
        title: title of the metric and the batch size.
        x_ticks: in percent.
        y_ticks: in pixels from the top.
        steps: lines of the front, (x1, y1, x2, y2).
        points: engines.
    """

    batch: int
    metric: str
    title: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    steps: list[tuple[float, float, float, float]]
    points: list[Point]


def front_rows(document: dict[str, Any]) -> list[FrontRow]:
    """Return the timed engines from the fastest, numbered as in the plots."""
    timed = [engine for engine in document["engines"] if engine["latency"]]
    timed.sort(key=lambda engine: engine["latency"][0]["median_ms"])
    return [
        FrontRow(
            number,
            engine["name"],
            engine["name"] == document["selected"],
            {batch: latency_at(engine, batch) for batch in _batches(document)},
            {metric: _value(engine, metric) for metric in _METRICS},
        )
        for number, engine in enumerate(timed, start=1)
    ]


def front_plots(document: dict[str, Any]) -> list[FrontPlot]:
    """Return one plot per metric that separates the engines, at batch 1 and at the optimum."""
    rows = front_rows(document)
    separating = [metric for metric in _METRICS if len({row.agreement[metric] for row in rows} - {None}) > 1]
    return [_plot(metric, batch, rows) for metric in separating for batch in _batches(document)]


def _batches(document: dict[str, Any]) -> list[int]:
    """Return the smallest timed batch size, and the selected engine's optimum if it was timed."""
    timed = timed_batches(document)
    optimum = {e["batch"][1] for e in document["engines"] if e["name"] == document["selected"]}
    return sorted(set(timed[:1]) | (optimum & set(timed)))


def _value(engine: dict[str, Any], metric: str) -> float | None:
    return next((float(check["value"]) for check in engine["checks"] if check["metric"] == metric), None)


def _plot(metric: str, batch: int, rows: list[FrontRow]) -> FrontPlot:
    shown = [
        (row, record["median_ms"], value)
        for row in rows
        if (record := row.latency[batch]) and (value := row.agreement[metric]) is not None
    ]
    latencies = [latency for _, latency, _ in shown]
    x = LogAxis.around(latencies, least_ratio=2)
    heights, y_ticks = _upright(metric, [value for _, _, value in shown])
    places = [(x.at(latency), height) for latency, height in zip(latencies, heights, strict=True)]
    front, labels = _front(latencies, heights), _labels(places)
    return FrontPlot(
        batch=batch,
        metric=metric,
        title=f"{metric_of(metric).title}, batch {batch}",
        x_ticks=x.labels(lambda value: f"{value:g}"),
        y_ticks=y_ticks,
        steps=_steps([places[index] for index in front]),
        points=[
            Point(
                number=row.number,
                name=row.name,
                selected=row.selected,
                on_front=index in front,
                x=places[index][0],
                y=places[index][1],
                label=labels[index],
                latency=latency,
                value=numbers.check_value(metric_of(metric).format, value),
            )
            for index, (row, latency, value) in enumerate(shown)
        ],
    )


def _upright(metric: str, values: list[float]) -> tuple[list[float], list[Tick]]:
    """Return the heights of values and ticks, in pixels from the top: what is closer is higher."""
    if metric == "kl":
        axis = LogAxis.decades(values, _LEAST_KL, _MOST_KL)
        ticks = [Tick(_pixels(axis.at(value)), numbers.power(value)) for value in axis.ticks()]
        if axis.low == _LEAST_KL:
            ticks[0] = Tick(ticks[0].at, f"≤{ticks[0].text}")
        return [_pixels(axis.at(value)) for value in values], ticks
    linear = LinearAxis(min(values), 1.0)
    return [_pixels(100 - linear.at(value)) for value in values], [
        Tick(_pixels(100 - linear.at(value)), f"{100 * value:g}%") for value in linear.ticks()
    ]


def _pixels(percent: float) -> float:
    return round(_PADDING + percent * (PLOT_HEIGHT - 2 * _PADDING) / 100, 1)


def _front(latencies: list[float], heights: list[float]) -> list[int]:
    """Return the engines that no other beats in both, from the fastest to the slowest."""
    front: list[int] = []
    for index in sorted(range(len(latencies)), key=lambda index: (latencies[index], heights[index])):
        if not front or heights[index] < heights[front[-1]]:
            front.append(index)
    return front


def _steps(places: list[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """Return the front as lines (x1, y1, x2, y2): between two engines the faster is the best there is."""
    lines = []
    for (x1, y1), (x2, y2) in pairwise(places):
        lines += [(x1, y1, x2, y1), (x2, y1, x2, y2)]
    return lines


def _labels(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return an offset in pixels for each point's number, clear of points and of other numbers."""
    points = [(x * _NARROWEST / 100, y) for x, y in places]
    taken = list(points)
    offsets = []
    for x, y in points:
        best = max(_LABEL_OFFSETS, key=lambda offset: _clearance(x + offset[0], y + offset[1], taken))
        taken.append((x + best[0], y + best[1]))
        offsets.append((float(best[0]), float(best[1])))
    return offsets


def _clearance(x: float, y: float, taken: list[tuple[float, float]]) -> float:
    """Return the distance to what is nearest, edges included; more than enough counts as enough."""
    inside = min(x, _NARROWEST - x, y, PLOT_HEIGHT - y)
    nearest = min(max(abs(x - a), abs(y - b)) for a, b in taken)
    return min(nearest, _LABEL_GAP - 2, inside + 5)
