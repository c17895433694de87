"""Charts of where the time of one request goes: a bar for each part, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lnlattennet._charts import LinearAxis, Span, Tick
from lnlattennet.benchmarks.report._numbers import duration


@dataclass(frozen=True)
class Part:
    """A part of the time; ``bar`` begins where the part before it ends."""

    name: str
    time: str
    share: str
    bar: Span


@dataclass(frozen=True)
class Anatomy:
    """The parts of a request with one image, which add up to ``total``; ``ticks`` are milliseconds."""

    image: str
    total: str
    parts: tuple[Part, ...]
    ticks: tuple[Tick, ...]


def anatomies(record: Mapping[str, Any]) -> list[Anatomy]:
    """Return a chart for each image; none of a record of another kind."""
    return [_anatomy(image, parts) for image, parts in record.get("anatomy_ms", {}).items()]


def _anatomy(image: str, parts: Mapping[str, float]) -> Anatomy:
    total = sum(parts.values())
    ends = list(_ends(parts))
    axis = LinearAxis(min(0.0, *(low for low, _ in ends)), max(high for _, high in ends))
    return Anatomy(
        image=image,
        total=duration(1e3 * total),
        parts=tuple(
            Part(name, _signed(time), f"{time / total:.0%}", axis.span(*end))
            for (name, time), end in zip(parts.items(), ends, strict=True)
        ),
        ticks=tuple(axis.labels("{:g}".format)),
    )


def _ends(parts: Mapping[str, float]) -> Iterator[tuple[float, float]]:
    """Yield the ends of each part, in order; a difference of two measurements may be negative."""
    at = 0.0
    for time in parts.values():
        yield min(at, at + time), max(at, at + time)
        at += time


def _signed(milliseconds: float) -> str:
    return "-" * (milliseconds < 0) + duration(1e3 * abs(milliseconds))
