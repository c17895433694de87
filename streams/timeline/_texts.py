"""Texts of the page's numbers, with their units."""

from __future__ import annotations

import math

from lnlattennet._charts import LinearAxis

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 7


class TimeAxis(LinearAxis):
    """A scale of seconds, whose ticks are what a clock shows."""

    def ticks(self) -> list[float]:
        """Return up to seven whole seconds, minutes or hours; fractions on a scale of a few seconds."""
        extent = self.high - self.low
        if extent < 2:
            return super().ticks()
        step = next((step for step in _STEPS if extent / step < _MOST_TICKS), _STEPS[-1] * extent)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [float(index * step) for index in range(first, last + 1)]


def clock(seconds: float, exact: bool = False) -> str:
    """Return a time as "0:05", "12:03" or "1:02:03"; an exact one with hundredths."""
    hundredths = round(seconds * 100)
    whole, fraction = divmod(hundredths, 100) if exact else (round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{fraction:02}" if fraction else text


def duration(seconds: float) -> str:
    """Return "0.21 s", "41.3 s", "3 min 5 s" or "1 h 12 min"."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def short_duration(seconds: float) -> str:
    """Return "33.3 ms", "2 s" or, from a minute on, what ``duration`` returns."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else duration(seconds).replace(" 0 s", "")


def percent(share: float | None) -> str:
    """Return a share as "42%", "4.2%" or "<0.1%"; a dash if it is not known."""
    if share is None or math.isnan(share):
        return "-"
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001:
        return "<0.1%"
    text = f"{share:.1%}" if share < 0.0995 or share > 0.99 else f"{share:.0%}"
    return ">99.9%" if text == "100.0%" else text
