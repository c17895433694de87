"""Scales, ticks and templates of the SVG charts in HTML reports.

Lengths across a chart are percentages of its width, so that it fits any page while its text keeps its size,
and its colors are the page's, light or dark. matplotlib's SVG has a fixed size and fixed colors, Vega-Lite
and Plotly need scripts; a report is read without any, on a phone, in print and by a screen reader.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment

PLOT_HEIGHT = 240
"""Height of a plot in pixels; its width follows the page."""

_MOST_TICKS = 6


def report_environment(package: str, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Return Jinja's environment for the templates of a package, with the shared style sheet and charts."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("lnlattennet")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    environment.globals["plot_height"] = PLOT_HEIGHT
    return environment


class Tick(NamedTuple):
    """A labeled position on a scale."""

    at: float
    text: str


class Span(NamedTuple):
    """A part of a scale, in percent of its length."""

    left: float
    width: float


class IntervalMark(NamedTuple):
    """A value and its interval on a scale, in percent of its length."""

    at: float
    span: Span


@dataclass(frozen=True)
class Axis(ABC):
    """A scale from ``low`` to ``high``; values outside are drawn at the nearer end."""

    low: float
    high: float

    @abstractmethod
    def at(self, value: float) -> float:
        """Return the position of ``value``, in percent of the scale."""

    @abstractmethod
    def ticks(self) -> list[float]:
        """Return two to six round values on the scale."""

    def span(self, low: float, high: float) -> Span:
        """Return the part from ``low`` to ``high``."""
        left = self.at(low)
        return Span(left, round(self.at(high) - left, 2))

    def interval(self, value: float, low: float, high: float) -> IntervalMark:
        """Return a value and its interval."""
        return IntervalMark(self.at(value), self.span(low, high))

    def labels(self, text: Callable[[float], str]) -> list[Tick]:
        """Return the ticks with their texts."""
        return [Tick(self.at(value), text(value)) for value in self.ticks()]


@dataclass(frozen=True)
class LinearAxis(Axis):
    """A linear scale; ``high`` is larger than ``low``."""

    def at(self, value: float) -> float:
        """Return the position of ``value``, in percent of the scale."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def ticks(self) -> list[float]:
        """Return two to six round values on the scale."""
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class LogAxis(Axis):
    """A logarithmic scale; ``low`` is positive."""

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
        """Return the position of ``value``, in percent of the scale; NaN is at the far end."""
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
