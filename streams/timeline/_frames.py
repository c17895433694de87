"""Rows of one source to frames that last: from when to when each was shown."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from lnlattennet.errors import DataError
from lnlattennet.streams._rows import Row

_AHEAD = 8
"""Frames that are read before one is given out: the first interval may be the one that is too long."""

_LONGEST = 1.0
_TIMES_THE_MEDIAN = 10.0


class OutOfOrderError(Exception):
    """A row of a source is earlier than the one before it."""


@dataclass(frozen=True)
class TimedFrame:
    """A frame, its rows and for how long it counts.

    Attributes:
        start: presentation time, in seconds.
        end: ``start`` of the next frame, or earlier if no frame was there for long.
        rows: its faces, or the one row without a face.
    """

    start: float
    end: float
    rows: tuple[Row, ...]

    @property
    def duration(self) -> float:
        """Seconds for which it counts."""
        return self.end - self.start


def significant(value: float) -> float:
    """Return three significant digits: a duration to count, with a limited number of different ones."""
    return float(f"{value:.3g}")


def weighted_quantile(counts: Counter[float], share: float) -> float:
    """Return the smallest value that at least this share of the counted ones does not exceed."""
    wanted, seen = share * counts.total(), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    raise ValueError("nothing was counted")


@dataclass
class FrameClock:
    """Gives the frames of one source their ends, as its rows come in.

    A frame lasts until the next one. An interval of more than a second that is also more than ten times the
    median is a gap without frames: the frame before it lasts for the median, as the last frame does.
    """

    intervals: Counter[float] = field(default_factory=Counter)
    _pending: deque[tuple[float, list[Row]]] = field(default_factory=deque)

    def add(self, time: float, row: Row) -> Iterator[TimedFrame]:
        """Take a row and its time, in seconds; yield the frames that are complete by now.

        Raises:
            OutOfOrderError: it is earlier than the row before it.
            DataError: the same face of the same frame came before.
        """
        if self._pending:
            last, rows = self._pending[-1]
            if (time, row.frame) == (last, rows[0].frame):
                _refuse_twins(rows, row)
                rows.append(row)
                return
            if time < last:
                raise OutOfOrderError
            if time > last:
                self.intervals[significant(time - last)] += 1
        self._pending.append((time, [row]))
        while self.intervals and len(self._pending) > _AHEAD:
            yield self._first()

    def finish(self) -> Iterator[TimedFrame]:
        """Yield the frames that are left; none if all have one time: nobody knows how long they lasted."""
        while self.intervals and self._pending:
            yield self._first()

    @property
    def without_duration(self) -> list[Row]:
        """Rows of a source whose frames all have one time, or which has one frame; else none."""
        return [] if self.intervals else [row for _, rows in self._pending for row in rows]

    @property
    def median_interval(self) -> float:
        """Median time between two frames, in seconds; NaN where all have one time."""
        return weighted_quantile(self.intervals, 0.5) if self.intervals else math.nan

    def _first(self) -> TimedFrame:
        start, rows = self._pending.popleft()
        if not self._pending:
            return TimedFrame(start, start + self.median_interval, tuple(rows))
        end = self._pending[0][0]
        if end - start > _LONGEST and end - start > _TIMES_THE_MEDIAN * self.median_interval:
            end = start + self.median_interval
        return TimedFrame(start, end, tuple(rows))


def _refuse_twins(rows: list[Row], row: Row) -> None:
    if any(row.face == other.face for other in rows):
        which = "without a face" if row.face is None else f"of face {row.face}"
        raise DataError(
            f"a face of a frame has one row; {row.source} at {row.time:g} s has two rows {which}: "
            "the same frames were written twice, so write the table again"
        )
