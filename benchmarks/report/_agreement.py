"""Chart of latency against what the answers are worth, of a record that has both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lnlattennet._charts import LinearAxis, LogAxis, Tick
from lnlattennet._fronts import front, front_lines, height, label_offsets
from lnlattennet._statistics import median_of_starts
from lnlattennet.benchmarks.harness._record import WARM
from lnlattennet.benchmarks.harness._samples import Starts, read_starts
from lnlattennet.benchmarks.report._numbers import duration, round_duration

_MEASURES = {"top1_agreement": "same answer as the checkpoint", "accuracy": "accuracy"}
_LEAST_SPAN = 0.01
"""Of the scale of a share: some thousand faces tell no finer difference."""


@dataclass(frozen=True)
class Point:
    """A candidate: ``x`` in percent from the left, ``y`` from the top and ``label`` beside it in pixels."""

    number: int
    name: str
    selected: bool
    on_front: bool
    x: float
    y: float
    label: tuple[float, float]
    latency: str
    value: str


@dataclass(frozen=True)
class Panel:
    """One measure in one case; ``steps`` are the lines of the front."""

    title: str
    points: tuple[Point, ...]
    steps: tuple[tuple[float, float, float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Agreement:
    """All panels, and a table of the candidates: number, name, shares and medians."""

    panels: tuple[Panel, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def agreement(record: Mapping[str, Any]) -> Agreement | None:
    """Return the chart; None for a record without answers of timed candidates."""
    samples = read_starts(record)
    answers = {
        name: {measure: _share(row[measure]) for measure in _MEASURES if measure in row}
        for name, row in record.get("answers", {}).items()
        if isinstance(row, Mapping) and all(name in candidates for candidates in samples.values())
    }
    measures = [measure for measure in _MEASURES if all(measure in shares for shares in answers.values())]
    if not samples or not answers or not measures:
        return None
    panels = tuple(_panel(measure, case, answers, samples) for case in samples for measure in measures)
    rows = tuple(
        (str(number), name, *(_percent(shares[measure]) for measure in measures), *_medians(samples, name))
        for number, (name, shares) in enumerate(answers.items(), 1)
    )
    columns = ("no.", "candidate", *(_MEASURES[measure] for measure in measures), *samples)
    return Agreement(panels, columns, rows)


def _share(value: Any) -> float:
    return float(value["value"] if isinstance(value, Mapping) else value)


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _medians(samples: Starts, name: str) -> list[str]:
    return [duration(median_of_starts(candidates[name][WARM]).value) for candidates in samples.values()]


def _panel(measure: str, case: str, answers: Mapping[str, Mapping[str, float]], samples: Starts) -> Panel:
    latencies = [median_of_starts(samples[case][name][WARM]).value for name in answers]
    shares = [row[measure] for row in answers.values()]
    across, upwards = LogAxis.around(latencies, least_ratio=2), _axis(shares)
    places = [
        (across.at(latency), height(100 - upwards.at(share)))
        for latency, share in zip(latencies, shares, strict=True)
    ]
    best, labels = front(latencies, [y for _, y in places]), label_offsets(places)
    return Panel(
        title=f"{_MEASURES[measure].capitalize()}, {case}",
        points=tuple(
            Point(
                index + 1, name, index == 0, index in best, *places[index], labels[index],
                duration(latencies[index]), _percent(shares[index]),
            )
            for index, name in enumerate(answers)
        ),
        steps=tuple(front_lines([places[index] for index in best])),
        x_ticks=tuple(across.labels(round_duration)),
        y_ticks=tuple(
            Tick(height(100 - upwards.at(value)), f"{100 * value:g}%") for value in upwards.ticks()
        ),
    )  # fmt: skip


def _axis(shares: Sequence[float]) -> LinearAxis:
    """Return a scale of shares, none above 1."""
    low, high = min(shares), max(shares)
    high = min(1.0, max(high, (low + high + _LEAST_SPAN) / 2))
    return LinearAxis(min(low, high - _LEAST_SPAN), high)
