"""Sums over equal columns of time, which become wider as the time becomes longer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_COLUMNS = 1200


class TimeBins:
    """Sums of values weighted by time, in at most ``most`` columns of equal width.

    Columns begin at multiples of their width. When there would be more than ``most``, pairs of them are
    added up, so the width is the first one times a power of two. What lies over two columns is divided.

    Attributes:
        width: of a column, in the unit of the times.
        first: number of the first column, which begins at ``first * width``.
        sums: [columns, values], float32: integrals over time.
    """

    def __init__(self, values: int, width: float, most: int = MOST_COLUMNS) -> None:
        self.width = width
        self.first = 0
        self.sums = np.zeros((0, values), np.float32)
        self._most = most
        self._room = self.sums

    def add(self, start: float, end: float, values: NDArray[np.float64]) -> None:
        """Add values [n] that held from ``start`` to ``end``, not before the ones added already."""
        if end <= start:
            return
        if not len(self.sums):
            self.first = math.floor(start / self.width)
        while self._last(end) - self.first >= self._most:
            self._halve()
        low, high = math.floor(start / self.width) - self.first, self._last(end) - self.first + 1
        self._grow(high)
        edges = (np.arange(low, high + 1) + self.first) * self.width
        edges[0], edges[-1] = start, end
        self.sums[low:high] += np.diff(edges)[:, None] * values

    def limit(self, most: int) -> None:
        """Have at most this many columns from now on."""
        self._most = most
        while len(self.sums) > most:
            self._halve()

    def coarser(self, most: int, width: float = 0.0) -> TimeBins:
        """Return the same sums in at most this many columns, each at least this wide."""
        other = TimeBins(self.sums.shape[1], self.width, self._most)
        other.first, other.sums = self.first, self.sums
        other.limit(most)
        while other.width < width:
            other._halve()
        return other

    @property
    def edges(self) -> NDArray[np.float64]:
        """Times at which columns begin, and the end of the last: [columns + 1]."""
        return (np.arange(len(self.sums) + 1) + self.first) * self.width

    def _last(self, end: float) -> int:
        return math.ceil(end / self.width) - 1

    def _halve(self) -> None:
        odd = self.first % 2
        rows = np.pad(self.sums, ((odd, (len(self.sums) + odd) % 2), (0, 0)))
        self.sums = self._room = rows[0::2] + rows[1::2]
        self.first //= 2
        self.width *= 2

    def _grow(self, columns: int) -> None:
        if columns > len(self._room):
            room = np.zeros((max(columns, 2 * len(self._room), 16), self.sums.shape[1]), np.float32)
            room[: len(self.sums)] = self.sums
            self._room = room
        if columns > len(self.sums):
            self.sums = self._room[:columns]
