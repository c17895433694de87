"""What the page says of one person: texts, and charts as paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet._charts import IntervalMark, LogAxis, Tick
from lnlattennet.streams.timeline._label_sequence import LabelSequence
from lnlattennet.streams.timeline._lanes import (
    label_runs,
    line_path,
    packed,
    run_paths,
    seen_path,
    stack_paths,
    weights_image,
)
from lnlattennet.streams.timeline._person import PersonFigures
from lnlattennet.streams.timeline._texts import TimeAxis, clock, short_duration
from lnlattennet.streams.timeline._time_bins import TimeBins

_NAMED_SHARE = 0.05
"""Share of the width from which a run of one label is named on the strip."""

_TABLE_ROWS = 20


@dataclass(frozen=True)
class NamedRun:
    """A run of a label that is wide enough for its name; in percent of the width."""

    left: float
    width: float
    label: int


@dataclass(frozen=True)
class Stack:
    """Probabilities on each other: areas to be painted in this order."""

    title: str
    paths: list[tuple[int, str]]


@dataclass(frozen=True)
class Line:
    """A value from 0 to 1 over time."""

    title: str
    path: str
    mean: float


@dataclass(frozen=True)
class MomentRow:
    """A row of the table behind the charts; shares are None if the face was not seen then."""

    start: str
    seen: float
    shares: list[float] | None
    intensity: float | None
    uncertainty: float


@dataclass(frozen=True)
class Lanes:
    """Charts over time, all with the same columns.

    Attributes:
        columns: their number.
        start: where the first one begins, in seconds or images.
        width: of a column, in seconds or images.
        ticks: of the axis.
        seen: path of the columns with the face.
        runs: the label that lasts longest in each column, as paths.
        named: runs that are named.
        stacks: probabilities, smoothed first.
        lines: intensity, if there is a neutral class, and uncertainty.
        weights: image of the region weights, a data URI; None if there are none.
        largest_weight: weight that is drawn opaque.
        values: for the script: seen, probabilities, intensity, uncertainty of each column.
        moments: the same, as a table with few rows.
    """

    columns: int
    start: float
    width: float
    ticks: list[Tick]
    seen: str
    runs: list[tuple[int, str]]
    named: list[NamedRun]
    stacks: list[Stack]
    lines: list[Line]
    weights: str | None
    largest_weight: float
    values: str
    moments: list[MomentRow]


@dataclass(frozen=True)
class DwellRow:
    """Dwells of one class; the mark is the median with the middle half."""

    label: int
    count: int
    cut: int
    median: float
    low: float
    high: float
    longest: float
    longest_start: float
    mark: IntervalMark


@dataclass(frozen=True)
class Dwells:
    """Dwells of every class that has some, on one logarithmic scale."""

    rows: list[DwellRow]
    ticks: list[Tick]


@dataclass(frozen=True)
class Averages:
    """Means of the columns of bins: what the charts draw. NaN is nowhere: unseen columns are 0."""

    seen: NDArray[np.bool_]
    fill: NDArray[np.float64]
    raw: NDArray[np.float64]
    smoothed: NDArray[np.float64] | None
    intensity: NDArray[np.float64] | None
    uncertainty: NDArray[np.float64]
    weights: NDArray[np.float64]
    labels: list[int]

    @property
    def primary(self) -> NDArray[np.float64]:
        """The smoothed probabilities, where there are some."""
        return self.raw if self.smoothed is None else self.smoothed


def averages(figures: PersonFigures, bins: TimeBins) -> Averages:
    """Return the means over the columns of a person's bins."""
    at, sums = figures.values, bins.sums.astype(np.float64)
    edges = np.clip(bins.edges, figures.first, figures.last)
    seconds = sums[:, at.seen]
    weight = np.where(seconds > 0, seconds, 1)[:, None]
    seen = seconds > 1e-6 * bins.width
    smoothed = None
    if figures.tracked:
        smoothed_seconds = sums[:, at.smoothed_seen]
        smoothed = sums[:, at.smoothed] / np.where(smoothed_seconds > 0, smoothed_seconds, 1)[:, None]
    raw = sums[:, at.probabilities] / weight
    label_seconds = sums[:, at.smoothed_labels if figures.tracked else at.labels]
    return Averages(
        seen=seen,
        fill=np.clip(seconds / np.maximum(np.diff(edges), 1e-9), 0, 1),
        raw=raw,
        smoothed=smoothed,
        intensity=None if at.neutral is None else np.where(seen, 1 - raw[:, at.neutral], 0),
        uncertainty=sums[:, at.uncertainty] / weight[:, 0],
        weights=sums[:, at.weights] / weight,
        labels=[int(row.argmax()) if row.any() else -1 for row in label_seconds],
    )


def stack_order(figures: PersonFigures, classes: int) -> list[int]:
    """Return the classes from the bottom up: neutral, then the others."""
    neutral = figures.values.neutral
    return sorted(range(classes), key=lambda label: (label != neutral, label))


def lanes(figures: PersonFigures, classes: int, most: int) -> Lanes:
    """Return the charts of a person who was seen, in at most ``most`` columns."""
    bins = figures.bins.coarser(most)
    means, order = averages(figures, bins), stack_order(figures, classes)
    count = len(bins.sums)
    start, end = float(bins.edges[0]), float(bins.edges[-1])
    stacks = [] if means.smoothed is None else [("probabilities, smoothed", means.smoothed)]
    stacks.append(
        ("probabilities of each frame" if not figures.person.images else "probabilities", means.raw)
    )
    lines = [Line("uncertainty", line_path(means.uncertainty, means.seen), figures.uncertainty)]
    if means.intensity is not None:
        lines.insert(0, Line("intensity", line_path(means.intensity, means.seen), figures.intensity or 0.0))
    largest = float(np.quantile(means.weights[means.seen], 0.995)) if means.weights.size else 0.0
    runs = label_runs(means.labels)
    axis = TimeAxis(start, end)
    return Lanes(
        columns=count,
        start=start,
        width=bins.width,
        ticks=axis.labels(lambda value: f"{value:,.0f}" if figures.person.images else clock(value, True)),
        seen=seen_path(means.seen),
        runs=run_paths(runs),
        named=[
            NamedRun(round(100 * low / count, 2), round(100 * (high - low) / count, 2), label)
            for low, high, label in runs
            if high - low >= _NAMED_SHARE * count
        ],
        stacks=[Stack(title, stack_paths(shares * means.fill[:, None], order)) for title, shares in stacks],
        lines=lines,
        weights=weights_image(means.weights, means.seen, largest) if largest > 0 else None,
        largest_weight=largest,
        values=packed(_values(means)),
        moments=_moments(figures),
    )


def overview_runs(figures: PersonFigures, start: float, end: float) -> list[tuple[int, str]]:
    """Return the strip of a person on the scale of the source, as paths in a box that is 1000 wide."""
    scale = 1000 / (end - start)
    bins = figures.bins.coarser(len(figures.bins.sums), width=(end - start) / 400)
    edges = (bins.edges - start) * scale
    labels = averages(figures, bins).labels
    # A column is drawn even if it is narrower than a pixel: a person who appears for a moment is one, too.
    return run_paths(
        (round(max(edges[low], 0)), round(min(max(edges[high], edges[low] + 1), 1000)), label)
        for low, high, label in label_runs(labels)
    )


def dwells(sequence: LabelSequence) -> Dwells | None:
    """Return the dwells of each class; None if there are none."""
    known = [label for label in range(len(sequence.seconds)) if sequence.dwells(label)]
    spans = {label: [sequence.quantile(label, share) for share in (0.25, 0.5, 0.75)] for label in known}
    longest = {label: dwell for label, dwell in enumerate(sequence.longest) if dwell}
    drawn = [value for label in known for value in (*spans[label], longest[label].duration) if value > 0]
    if not drawn:
        return None
    axis = LogAxis.around(drawn)
    rows = [
        DwellRow(
            label=label,
            count=sequence.dwells(label),
            cut=int(sequence.cut[label]),
            low=low,
            median=median,
            high=high,
            longest=longest[label].duration,
            longest_start=longest[label].start,
            mark=axis.interval(median, low, high),
        )
        for label, (low, median, high) in spans.items()
    ]
    return Dwells(rows, _apart(axis.labels(short_duration)))


def _apart(ticks: list[Tick], least: float = 30.0) -> list[Tick]:
    """Leave out ticks that are nearer than ``least`` percent to the one before: the scale is a short one."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= least:
            kept.append(tick)
    return kept


def _values(means: Averages) -> NDArray[np.float64]:
    intensity = np.zeros_like(means.uncertainty) if means.intensity is None else means.intensity
    return np.column_stack([means.fill, means.primary, intensity, means.uncertainty])


def _moments(figures: PersonFigures) -> list[MomentRow]:
    bins = figures.bins.coarser(_TABLE_ROWS)
    means = averages(figures, bins)
    return [
        MomentRow(
            start=f"{start:,.0f}" if figures.person.images else clock(start, True),
            seen=float(fill),
            shares=shares.tolist() if seen else None,
            intensity=None if means.intensity is None else float(means.intensity[column]),
            uncertainty=float(means.uncertainty[column]),
        )
        for column, (start, fill, shares, seen) in enumerate(
            zip(bins.edges[:-1], means.fill, means.primary, means.seen, strict=True)
        )
    ]


def transition_rows(sequence: LabelSequence) -> tuple[list[int], list[tuple[int, list[tuple[int, float]]]]]:
    """Return the classes that occur, and for each of them the changes to the others: counts and shares."""
    known = [label for label in range(len(sequence.seconds)) if sequence.seconds[label] > 0]
    rows = []
    for label in known:
        counts: Sequence[int] = sequence.transitions[label, known].tolist()
        total = sum(counts)
        rows.append((label, [(count, count / total if total else math.nan) for count in counts]))
    return known, rows
