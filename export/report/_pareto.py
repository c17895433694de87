"""Pareto front of latency against agreement with the checkpoint."""

from __future__ import annotations

from typing import Any

from lnlattennet._charts import LinearAxis, LogAxis, Tick
from lnlattennet._fronts import front, front_lines, height, label_offsets
from lnlattennet.export.report import _formatting as numbers
from lnlattennet.export.report._checks import metric_of
from lnlattennet.export.report._latency import latency_at, timed_batches

_METRICS = ("kl", "top1_agreement")
_LEAST_KL, _MOST_KL = 1e-9, 1e3
"""A smaller divergence is rounding: it neither makes an engine better than another nor fits the scale."""


def front_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the timed engines from the fastest, numbered as in the plots.

    "latency" maps a batch size to the manifest's record, "agreement" a metric to its value; None stands for
    what was not timed or not checked.
    """
    timed = [engine for engine in document["engines"] if engine["latency"]]
    timed.sort(key=lambda engine: engine["latency"][0]["median_ms"])
    return [
        {
            "number": number,
            "name": engine["name"],
            "selected": engine["name"] == document["selected"],
            "latency": {batch: latency_at(engine, batch) for batch in _batches(document)},
            "agreement": {metric: _value(engine, metric) for metric in _METRICS},
        }
        for number, engine in enumerate(timed, start=1)
    ]


def front_plots(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one plot per metric that separates the engines, at batch 1 and at the optimum.

    Horizontal positions are in percent of the width, vertical ones in pixels from the top.
    """
    rows = front_rows(document)
    return [
        _plot(metric, batch, rows)
        for metric in _METRICS
        if len({_drawn(metric, row["agreement"][metric]) for row in rows} - {None}) > 1
        for batch in _batches(document)
    ]


def _batches(document: dict[str, Any]) -> list[int]:
    """Return the smallest timed batch size, and the selected engine's optimum if it was timed."""
    timed = timed_batches(document)
    optimum = {e["batch"][1] for e in document["engines"] if e["name"] == document["selected"]}
    return sorted(set(timed[:1]) | (optimum & set(timed)))


def _value(engine: dict[str, Any], metric: str) -> float | None:
    return next((float(check["value"]) for check in engine["checks"] if check["metric"] == metric), None)


def _drawn(metric: str, value: float | None) -> float | None:
    """Return what a plot shows of a value."""
    return None if value is None else max(value, _LEAST_KL) if metric == "kl" else value


def _plot(metric: str, batch: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [row for row in rows if row["latency"][batch] and row["agreement"][metric] is not None]
    latencies = [row["latency"][batch]["median_ms"] for row in shown]
    values = [row["agreement"][metric] for row in shown]
    x = LogAxis.around(latencies, least_ratio=2)
    heights, y_ticks = _upright(metric, values)
    places = [(x.at(latency), y) for latency, y in zip(latencies, heights, strict=True)]
    best, labels = front(latencies, heights), label_offsets(places)
    return {
        "batch": batch,
        "metric": metric,
        "title": f"{metric_of(metric).title}, batch {batch}",
        "x_ticks": x.labels(lambda value: f"{value:g}"),
        "y_ticks": y_ticks,
        "steps": front_lines([places[index] for index in best]),
        "points": [
            row
            | {
                "on_front": index in best,
                "x": places[index][0],
                "y": places[index][1],
                "label": labels[index],
                "latency": latencies[index],
                "value": numbers.check_value(metric_of(metric).format, values[index]),
            }
            for index, row in enumerate(shown)
        ],
    }


def _upright(metric: str, values: list[float]) -> tuple[list[float], list[Tick]]:
    """Return the heights of values and ticks, in pixels from the top: what is closer is higher."""
    if metric == "kl":
        axis = LogAxis.decades(values, _LEAST_KL, _MOST_KL)
        ticks = [Tick(height(axis.at(value)), numbers.power(value)) for value in axis.ticks()]
        if axis.low == _LEAST_KL:
            ticks[0] = Tick(ticks[0].at, f"≤{ticks[0].text}")
        return [height(axis.at(value)) for value in values], ticks
    linear = LinearAxis(min(values), 1.0)
    return [height(100 - linear.at(value)) for value in values], [
        Tick(height(100 - linear.at(value)), f"{100 * value:g}%") for value in linear.ticks()
    ]
