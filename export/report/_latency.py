"""Latency distributions: for each batch size, every sample of every engine on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet._charts import IntervalMark, LogAxis, Span, Tick

_GOLDEN = 0.6180339887


@dataclass(frozen=True)
class LatencyRow:
    """An engine's latency at one batch size.

    Attributes:
        name: name of the engine.
        record: its latency in the manifest.
        ratio: its median over the selected engine's; None if that was not timed at this size.
        box: middle half of the samples.
        median: median with its interval.
        dots: SVG path of the samples in a box of 1000 x 100.
    """

    name: str
    record: dict[str, Any]
    ratio: float | None
    box: Span
    median: IntervalMark
    dots: str


@dataclass(frozen=True)
class LatencyChart:
    """All engines at one batch size, the fastest first."""

    batch: int
    ticks: list[Tick]
    rows: list[LatencyRow]


def latency_at(engine: dict[str, Any], batch: int) -> dict[str, Any] | None:
    """Return the engine's latency record at a batch size, or None if it was not timed there."""
    return next((record for record in engine["latency"] if record["batch"] == batch), None)


def timed_batches(document: dict[str, Any]) -> list[int]:
    """Return the batch sizes at which any engine was timed."""
    return sorted({record["batch"] for engine in document["engines"] for record in engine["latency"]})


def latency_charts(document: dict[str, Any]) -> list[LatencyChart]:
    """Return one chart per batch size, its rows from the fastest engine to the slowest."""
    return [_chart(document, batch) for batch in timed_batches(document)]


def _chart(document: dict[str, Any], batch: int) -> LatencyChart:
    timed = [(engine, record) for engine in document["engines"] if (record := latency_at(engine, batch))]
    timed.sort(key=lambda pair: pair[1]["median_ms"])
    values = [record[key] for _, record in timed for key in ("low_ms", "high_ms")]
    values += [value for engine, _ in timed for value in _samples(engine, batch)]
    axis = LogAxis.around(values)
    selected = next((r["median_ms"] for e, r in timed if e["name"] == document["selected"]), None)
    rows = [_row(axis, engine["name"], record, _samples(engine, batch), selected) for engine, record in timed]
    return LatencyChart(batch, axis.labels(lambda value: f"{value:g}"), rows)


def _samples(engine: dict[str, Any], batch: int) -> list[float]:
    samples: list[float] = engine["samples_ms"].get(str(batch), [])
    return samples


def _row(
    axis: LogAxis, name: str, record: dict[str, Any], samples: list[float], selected: float | None
) -> LatencyRow:
    median = record["median_ms"]
    quartiles = np.percentile(samples, [25, 75]) if samples else [median, median]
    return LatencyRow(
        name=name,
        record=record,
        ratio=None if selected is None else median / selected,
        box=axis.span(*quartiles),
        median=axis.interval(median, record["low_ms"], record["high_ms"]),
        dots=_dots(axis, samples),
    )


def _dots(axis: LogAxis, samples: list[float]) -> str:
    """Return an SVG path in a box of 1000 x 100: a round-capped line without length is a dot.

    Multiples of the golden ratio spread the dots over the height evenly, and alike in every run.
    """
    heights = [10 + 80 * (index * _GOLDEN % 1) for index in range(len(samples))]
    return "".join(
        f"M{10 * axis.at(sample):.0f} {height:.0f}h0" for sample, height in zip(samples, heights, strict=True)
    )
