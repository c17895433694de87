"""Latency distributions: for each batch size, every sample of every engine on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnlattennet.export.report._scales import LogAxis

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
    timed = [(engine, record) for engine in document["engines"] if (record := latency_at(engine, batch))]
    timed.sort(key=lambda pair: pair[1]["median_ms"])
    values = [record[key] for _, record in timed for key in ("low_ms", "high_ms")]
    values += [value for engine, _ in timed for value in _samples(engine, batch)]
    axis = LogAxis.around(values)
    chosen = next((r["median_ms"] for e, r in timed if e["name"] == document["selected"]), None)
    return {
        "batch": batch,
        "ticks": [{"at": axis.at(value), "text": f"{value:g}"} for value in axis.ticks()],
        "rows": [
            {
                "name": engine["name"],
                "record": record,
                "ratio": None if chosen is None else record["median_ms"] / chosen,
                **_strip(axis, _samples(engine, batch), record),
            }
            for engine, record in timed
        ],
    }


def _samples(engine: dict[str, Any], batch: int) -> list[float]:
    samples: list[float] = engine["samples_ms"].get(str(batch), [])
    return samples


def _strip(axis: LogAxis, samples: list[float], record: dict[str, Any]) -> dict[str, Any]:
    """Return percentages: the middle half of the samples, the median's interval, and a path of dots."""
    quartiles = np.percentile(samples, [25, 75]) if samples else [record["median_ms"]] * 2
    return {
        "box": _span(axis, *quartiles),
        "mark": _span(axis, record["low_ms"], record["high_ms"]),
        "median": axis.at(record["median_ms"]),
        "dots": _dots(axis, samples),
    }


def _span(axis: LogAxis, low: float, high: float) -> dict[str, float]:
    start = axis.at(low)
    return {"left": start, "width": round(axis.at(high) - start, 2)}


def _dots(axis: LogAxis, samples: list[float]) -> str:
    """Return an SVG path in a box of 1000 x 100: a round-capped line without length is a dot.

    Multiples of the golden ratio spread the dots over the height evenly, and alike in every run.
    """
    heights = [10 + 80 * (index * _GOLDEN % 1) for index in range(len(samples))]
    return "".join(
        f"M{10 * axis.at(sample):.0f} {height:.0f}h0" for sample, height in zip(samples, heights, strict=True)
    )
