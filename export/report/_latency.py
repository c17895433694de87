"""Latency distributions: for each batch size, every sample of every engine on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnlattennet._charts import LogAxis

_GOLDEN = 0.6180339887


def latency_at(engine: dict[str, Any], batch: int) -> dict[str, Any] | None:
    """Return the engine's latency record at a batch size, or None if it was not timed there."""
    return next((record for record in engine["latency"] if record["batch"] == batch), None)


def timed_batches(document: dict[str, Any]) -> list[int]:
    """Return the batch sizes at which any engine was timed."""
    return sorted({record["batch"] for engine in document["engines"] for record in engine["latency"]})


def latency_charts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one chart per batch size, its rows from the fastest engine to the slowest."""
    return [_chart(document, batch) for batch in timed_batches(document)]


def _chart(document: dict[str, Any], batch: int) -> dict[str, Any]:
    timed = [
        (engine["name"], record, engine["samples_ms"].get(str(batch), []))
        for engine in document["engines"]
        if (record := latency_at(engine, batch))
    ]
    timed.sort(key=lambda entry: entry[1]["median_ms"])
    values = [
        value for _, record, samples in timed for value in (record["low_ms"], record["high_ms"], *samples)
    ]
    axis = LogAxis.around(values)
    selected = next((record["median_ms"] for name, record, _ in timed if name == document["selected"]), None)
    rows = [
        {
            "name": name,
            "record": record,
            # None if the selected engine was not timed at this size.
            "ratio": selected and record["median_ms"] / selected,
            "box": axis.span(*np.percentile(samples or [record["median_ms"]], [25, 75])),
            "median": axis.interval(record["median_ms"], record["low_ms"], record["high_ms"]),
            "dots": _dots(axis, samples),
        }
        for name, record, samples in timed
    ]
    return {"batch": batch, "ticks": axis.labels(lambda value: f"{value:g}"), "rows": rows}


def _dots(axis: LogAxis, samples: list[float]) -> str:
    """Return an SVG path in a box of 1000 x 100: a round-capped line without length is a dot.

    Multiples of the golden ratio spread the dots over the height evenly, and alike in every run.
    """
    heights = [10 + 80 * (index * _GOLDEN % 1) for index in range(len(samples))]
    return "".join(
        f"M{10 * axis.at(sample):.0f} {height:.0f}h0" for sample, height in zip(samples, heights, strict=True)
    )
