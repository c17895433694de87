"""Scales of charts, in percent of their length, and their ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_TICKS = 6


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic scale from ``low`` > 0 to ``high``; what lies outside is drawn at the nearer end."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], least_ratio: float = 1.5) -> LogAxis:
        """Return a scale that holds positive values with a margin, and spans at least ``least_ratio``."""
        known = list(values)
        low, high = min(known), max(known)
        margin = max((high / low) ** 0.04, math.sqrt(least_ratio * low / high))
        return cls(low / margin, high * margin)

    @classmethod
    def decades(cls, values: Iterable[float], floor: float, ceiling: float) -> LogAxis:
        """Return a scale of whole decades within ``floor`` and ``ceiling``, both powers of ten."""
        known = [min(max(value, floor), ceiling) for value in values]
        low = 10.0 ** math.floor(math.log10(min(known)))
        return cls(low, max(10.0 ** math.ceil(math.log10(max(known))), 10 * low))

    def at(self, value: float) -> float:
        """Return where ``value`` lies, in percent of the scale; what is not a number is at the far end."""
        if math.isnan(value) or value >= self.high:
            return 100.0
        if value <= self.low:
            return 0.0
        return round(100 * math.log(value / self.low) / math.log(self.high / self.low), 2)

    def ticks(self) -> list[float]:
        """Return two to six round values on the scale."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        fine = self._within(m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5))
        if len(fine) < 3:
            return LinearAxis(self.low, self.high).ticks()
        step = 1
        while len(fine) > _MOST_TICKS:
            fine = self._within(10.0**e for e in range(first, last + 1) if e % step == 0)
            step += 1
        return fine

    def _within(self, values: Iterable[float]) -> list[float]:
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


@dataclass(frozen=True)
class LinearAxis:
    """A linear scale from ``low`` to a larger ``high``; what lies outside is drawn at the nearer end."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return where ``value`` lies, in percent of the scale."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def ticks(self) -> list[float]:
        """Return two to six round values on the scale."""
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        return [round(index * step, 12) for index in range(first, last + 1)]
