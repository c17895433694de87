"""One label at a time: shares, dwells and the changes between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lnlattennet.streams.timeline._frames import significant, weighted_quantile


@dataclass(frozen=True)
class Dwell:
    """An unbroken time with one label.

    Attributes:
        start: when it began, in seconds.
        duration: in seconds.
        cut: whether it began or ended with a gap, the first frame or the last: it may have been longer.
    """

    start: float
    duration: float
    cut: bool


class LabelSequence:
    """What is known of the labels of a person, raw or smoothed, in a memory that does not grow with them.

    Attributes:
        seconds: [classes], time with each label.
        transitions: [classes, classes], changes from a label to another one in the next frame.
        durations: of each class, durations of its dwells, to three significant digits -> their number.
        cut: [classes], dwells that a gap or an end cut off.
        longest: of each class, None if it never was the label.
        pairs: frames that follow another one without a gap.
        agreeing: those with the label of the one before.
    """

    def __init__(self, classes: int) -> None:
        self.seconds = np.zeros(classes)
        self.transitions = np.zeros((classes, classes), np.int64)
        self.durations: list[Counter[float]] = [Counter() for _ in range(classes)]
        self.cut = np.zeros(classes, np.int64)
        self.longest: list[Dwell | None] = [None] * classes
        self.pairs = 0
        self.agreeing = 0
        self._label = -1
        self._start = 0.0
        self._end = 0.0
        self._begins_cut = True

    def add(self, start: float, end: float, label: int) -> None:
        """Add a label that held from ``start`` to ``end``, at or after the end of the one before."""
        joined = self._label >= 0 and start == self._end
        self.pairs += joined
        self.agreeing += joined and label == self._label
        if not (joined and label == self._label):
            self._close(cut=not joined)
            if joined:
                self.transitions[self._label, label] += 1
            self._label, self._start, self._begins_cut = label, start, not joined
        self.seconds[label] += end - start
        self._end = end

    def finish(self) -> None:
        """End the last dwell; nothing may be added later."""
        self._close(cut=True)
        self._label = -1

    def dwells(self, label: int) -> int:
        """Return the number of dwells of a class."""
        return self.durations[label].total()

    def quantile(self, label: int, share: float) -> float:
        """Return a quantile of the durations of a class that has dwells."""
        return weighted_quantile(self.durations[label], share)

    def _close(self, cut: bool) -> None:
        if self._label < 0:
            return
        dwell = Dwell(self._start, self._end - self._start, cut or self._begins_cut)
        self.durations[self._label][significant(dwell.duration)] += 1
        self.cut[self._label] += dwell.cut
        longest = self.longest[self._label]
        if longest is None or dwell.duration > longest.duration:
            self.longest[self._label] = dwell
