"""Numbers and names of a record as texts."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_MOST_VALUES = 8
"""Length of a list beyond which its median and its ends stand for it."""
_ENDS = {"low", "high"}


def duration(microseconds: float) -> str:
    """Return a time with three digits and the unit that fits, such as "1.28 ms"."""
    unit, size = _unit(microseconds)
    return f"{three_digits(microseconds / size)} {unit}"


def round_duration(microseconds: float) -> str:
    """Return a round time without needless digits, such as "50 ms"."""
    unit, size = _unit(microseconds)
    return f"{microseconds / size:g} {unit}"


def _unit(microseconds: float) -> tuple[str, float]:
    return next(((unit, size) for unit, size in (("s", 1e6), ("ms", 1e3)) if microseconds >= size), ("µs", 1))


def three_digits(value: float) -> str:
    """Return a number with three digits, or all of an integer part that has more."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{min(digits, 3)}f}"


def name(key: str) -> str:
    """Return a key of the document in words; a name such as "expression_fused grpc://host" stays as it is."""
    return key.removesuffix("_bytes").replace("_", " ") if key.isidentifier() else key


def is_figure(value: Any) -> bool:
    """Return whether a value of a document is shown in one cell: a scalar, interval or list of scalars."""
    if isinstance(value, Mapping):
        return _center(value) is not None
    return not isinstance(value, list) or not any(isinstance(item, list | Mapping) for item in value)


def text(key: str, value: Any) -> str:
    """Return what stands in the cell of a figure; ``key`` tells bytes and commands from other values."""
    if isinstance(value, Mapping):
        ends = (text(key, value[end]) for end in ("low", "high"))
        return f"{text(key, value[_center(value)])} [{', '.join(ends)}]"
    if isinstance(value, list):
        return _listed(key, value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if key.endswith("_bytes"):
        return f"{value / 2**20:,.{0 if value >= 2**24 else 2}f} MiB"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    )


def _listed(key: str, values: Sequence[Any]) -> str:
    if key == "command":
        return shlex.join(values)
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(values) <= _MOST_VALUES or len(numbers) < len(values):
        return ", ".join(text(key, value) for value in values)
    median, *ends = (text(key, value) for value in (statistics.median(values), min(values), max(values)))
    return f"{len(values):,} values: median {median}, {' to '.join(ends)}"


def _center(value: Mapping[str, Any]) -> str | None:
    """Return the key of the figure of which the others are the ends of its interval."""
    others = value.keys() - _ENDS
    return others.pop() if len(value) == 3 and len(others) == 1 else None
