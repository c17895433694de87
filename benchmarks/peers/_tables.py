"""Tables of a record of peers: every model's figures, and each of ours against each package's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import mcnemar, mean_interval, median_interval, ratio_interval

Rows = list[list[str]]


def peer_tables(record: Mapping[str, Any]) -> tuple[Rows, Rows, Rows]:
    """Return rows, the first one the head: figures per model, recall per class, and paired comparisons."""
    return _figures(record), _recalls(record), _comparisons(record)


def milliseconds(record: Mapping[str, Any]) -> dict[str, float]:
    """Return model -> median milliseconds of one face on one core."""
    [case] = record["cases"]
    return {
        name: median_interval(result["timings"]["warm"]["samples_us"]).value / 1e3
        for name, result in case["candidates"].items()
    }


def macro_recall(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Return the mean over the classes of the share of a class's faces that are right."""
    right = labels == predictions
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def _figures(record: Mapping[str, Any]) -> Rows:
    """Return accuracy with its interval, macro recall, and the costs; times over the first of our models."""
    [case] = record["cases"]
    samples = {name: result["timings"]["warm"]["samples_us"] for name, result in case["candidates"].items()}
    own = next((name for name, row in record["answers"].items() if row["model"]["kind"] != "package"), None)
    rows = [["model", "accuracy, %", "95% interval", "macro recall, %", "ECE", "parameters", "file, MB",
             "ms per face", *([f"time over {own}"] if own else [])]]  # fmt: skip
    labels, times = read_digits(record["labels"]), milliseconds(record)
    for name, row in record["answers"].items():
        accuracy, predictions = row["accuracy"], read_digits(row["predictions"])
        rows.append([
            _title(name, row), f"{100 * accuracy['value']:.1f}",
            f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}",
            f"{100 * macro_recall(labels, predictions):.1f}", f"{row['ece']['value']:.3f}",
            f"{row['parameters']:,}" if row["parameters"] else "", f"{row['file_bytes'] / 1e6:.2f}",
            f"{times[name]:.2f}",
            *([_ratio(samples[name], samples[own])] if own else []),
        ])  # fmt: skip
    return rows


def _recalls(record: Mapping[str, Any]) -> Rows:
    rows = [["recall, %", *record["class_names"]]]
    labels = read_digits(record["labels"])
    counts = np.bincount(labels, minlength=len(record["class_names"]))
    rows.append(["faces", *map(str, counts)])
    for name, row in record["answers"].items():
        rows.append([_title(name, row), *(_percent(row["recall"][label]) for label in record["class_names"])])
    return rows


def _comparisons(record: Mapping[str, Any]) -> Rows:
    """Return the difference of the accuracies of every model of ours and of every package's."""
    rows = [["", "points ahead", "95% interval", "only this one right", "only the other right", "McNemar p"]]
    labels = read_digits(record["labels"])
    right = {name: read_digits(row["predictions"]) == labels for name, row in record["answers"].items()}
    packages = [name for name, row in record["answers"].items() if row["model"]["kind"] == "package"]
    for ours in (name for name in right if name not in packages):
        for other in packages:
            difference = mean_interval(right[ours].astype(float) - right[other])
            only = int((right[ours] & ~right[other]).sum()), int((right[other] & ~right[ours]).sum())
            rows.append([
                f"{ours} over {other}", f"{100 * difference.value:+.1f}",
                f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
                *map(str, only), f"{mcnemar(*only):.1e}",
            ])  # fmt: skip
    return rows


def read_digits(text: str) -> NDArray[np.int64]:
    """Return the classes that a string of one digit per face holds."""
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64) - ord("0")


def _title(name: str, row: Mapping[str, Any]) -> str:
    kind = row["model"]["kind"]
    return name if kind == "package" else f"{name}, {kind}"


def _percent(recall: Mapping[str, float] | None) -> str:
    return f"{100 * recall['value']:.1f}" if recall else ""


def _ratio(numerator: Sequence[float], denominator: Sequence[float]) -> str:
    return ratio_interval(numerator, denominator).text(".3g")
