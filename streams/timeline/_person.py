"""Figures of one person, or of one folder of images, collected row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.model._preprocessing import Box
from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.timeline._label_sequence import LabelSequence
from lnlattennet.streams.timeline._time_bins import TimeBins

_FIRST_WIDTH = 1 / 64
"""First width of a column, in seconds: a quarter, a half or a whole number of seconds is this doubled."""

_KEPT_GAPS = 5


@dataclass(frozen=True)
class Person:
    """Whose figures they are.

    Attributes:
        source: video or camera, or the folder of images.
        track: number of the person in the source; None for the largest face, or for images.
        images: whether the rows are images without a time; they are counted one by one.
    """

    source: str
    track: int | None
    images: bool = False

    @property
    def name(self) -> str:
        """What the page calls them."""
        if self.images:
            return "Images"
        return "Largest face" if self.track is None else f"Person {self.track}"


@dataclass(frozen=True)
class Gap:
    """Time between two frames with the face."""

    start: float
    duration: float


@dataclass(frozen=True)
class Peak:
    """Where a class was most probable: frame, time in seconds and box in pixels of the upright image."""

    probability: float
    source: str
    frame: int | None
    time: float | None
    box: Box


class ValueColumns:
    """Which value is where in the bins of a person.

    Attributes:
        neutral: number of the class "neutral"; None if there is none.
    """

    def __init__(self, columns: Columns) -> None:
        count = len(columns.class_names)
        names = [name.lower() for name in columns.class_names]
        self.neutral = names.index("neutral") if "neutral" in names else None
        self.seen, self.smoothed_seen, self.uncertainty = 0, 1, 2
        self.probabilities = slice(3, 3 + count)
        self.smoothed = slice(3 + count, 3 + 2 * count)
        self.labels = slice(3 + 2 * count, 3 + 3 * count)
        self.smoothed_labels = slice(3 + 3 * count, 3 + 4 * count)
        self.weights = slice(3 + 4 * count, 3 + 4 * count + columns.regions)
        self.count = self.weights.stop


class PersonFigures:
    """Figures of one person; a face counts from the start to the end of its frame, if its status is "ok".

    Attributes:
        person: whose they are.
        values: which value is where in the bins.
        bins: integrals over time of every value.
        totals: the same over all the time, [values] in float64.
        raw: labels as predicted.
        smoothed: labels of the smoothed probabilities; empty without tracks.
        agreeing: seconds in which both are the same.
        frames: rows that count.
        doubtful: seconds of faces that are too small or not sure; they are a gap.
        first: seconds at which the face is first seen; infinite if never.
        last: seconds at which it is last seen; -infinite if never.
        gaps: the longest ones, in order of time.
        gap_count: number of all gaps between the first and the last time.
        peaks: class -> where it was most probable.
    """

    def __init__(self, person: Person, columns: Columns, most_columns: int) -> None:
        self.person = person
        self.values = ValueColumns(columns)
        self.bins = TimeBins(self.values.count, 1.0 if person.images else _FIRST_WIDTH, most_columns)
        self.totals = np.zeros(self.values.count)
        self.raw = LabelSequence(len(columns.class_names))
        self.smoothed = LabelSequence(len(columns.class_names))
        self.agreeing = 0.0
        self.frames = 0
        self.doubtful = 0.0
        self.first, self.last = math.inf, -math.inf
        self.gaps: list[Gap] = []
        self.gap_count = 0
        self.peaks: dict[int, Peak] = {}
        self._numbers = {name: number for number, name in enumerate(columns.class_names)}
        self._log_classes = math.log(len(columns.class_names)) or 1.0

    def add(self, start: float, end: float, row: Row) -> None:
        """Add the person's row of a frame."""
        if row.status != "ok" or row.probabilities is None or row.label is None or row.box is None:
            self.doubtful += end - start
            return
        label = self._numbers[row.label]
        values = self._values(row, row.probabilities, label)
        self._note_gap(start)
        self.frames += 1
        self.first, self.last = min(self.first, start), end
        self.bins.add(start, end, values)
        self.totals += values * (end - start)
        self.raw.add(start, end, label)
        if row.smoothed:
            smoothed = _largest(row.smoothed)
            self.smoothed.add(start, end, smoothed)
            self.agreeing += (end - start) * (smoothed == label)
        peak = self.peaks.get(label)
        probability = row.probabilities[label]
        if peak is None or probability > peak.probability:
            self.peaks[label] = Peak(probability, row.source, row.frame, row.time, row.box)

    def finish(self) -> None:
        """End what the last row left open."""
        self.raw.finish()
        self.smoothed.finish()

    @property
    def seen(self) -> float:
        """Seconds, or number of images, with the face."""
        return float(self.totals[self.values.seen])

    @property
    def tracked(self) -> bool:
        """Whether there are smoothed probabilities."""
        return bool(self.totals[self.values.smoothed_seen])

    @property
    def labels(self) -> LabelSequence:
        """The labels that the page shows first: the smoothed ones where there are some."""
        return self.smoothed if self.tracked else self.raw

    @property
    def gap_seconds(self) -> float:
        """Time without the face between the first and the last time that it was seen."""
        return max(self.last - self.first - self.seen, 0.0) if self.frames else 0.0

    @property
    def neighbors_agree(self) -> float | None:
        """Share of the frames that have the raw label of the one before; None if no frame follows another."""
        return self.raw.agreeing / self.raw.pairs if self.raw.pairs else None

    @property
    def smoothing_agrees(self) -> float | None:
        """Share of the time in which the raw and the smoothed label are the same; None without tracks."""
        return self.agreeing / float(self.totals[self.values.smoothed_seen]) if self.tracked else None

    def means(self, values: slice) -> NDArray[np.float64]:
        """Return the means of several values over the time with the face; zeros if it was never seen."""
        weight = self.totals[self.values.smoothed_seen if self._is_smoothed(values) else self.values.seen]
        return self.totals[values] / (weight or 1.0)

    @property
    def uncertainty(self) -> float:
        """Mean entropy of the raw probabilities, as a share of the largest possible one."""
        return float(self.totals[self.values.uncertainty] / (self.seen or 1.0))

    @property
    def intensity(self) -> float | None:
        """Mean of 1 - probability of neutral; None if the model has no such class."""
        if self.values.neutral is None:
            return None
        return 1 - float(self.means(self.values.probabilities)[self.values.neutral])

    def _is_smoothed(self, values: slice) -> bool:
        return values in (self.values.smoothed, self.values.smoothed_labels)

    def _values(self, row: Row, probabilities: Sequence[float], label: int) -> NDArray[np.float64]:
        at, values = self.values, np.zeros(self.values.count)
        values[at.seen] = 1
        values[at.uncertainty] = _entropy(probabilities) / self._log_classes
        values[at.probabilities] = probabilities
        values[at.labels.start + label] = 1
        if row.smoothed:
            values[at.smoothed_seen] = 1
            values[at.smoothed] = row.smoothed
            values[at.smoothed_labels.start + _largest(row.smoothed)] = 1
        if row.region_weights:
            values[at.weights] = row.region_weights
        return values

    def _note_gap(self, start: float) -> None:
        if not self.frames or start <= self.last:
            return
        self.gap_count += 1
        gaps = [*self.gaps, Gap(self.last, start - self.last)]
        if len(gaps) > _KEPT_GAPS:
            gaps.remove(min(gaps, key=lambda gap: gap.duration))
        self.gaps = gaps


def _entropy(probabilities: Sequence[float]) -> float:
    return sum(share * -math.log(share) for share in probabilities if share > 0)


def _largest(probabilities: Sequence[float]) -> int:
    return probabilities.index(max(probabilities))
