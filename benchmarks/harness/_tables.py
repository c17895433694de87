"""Plain text tables of a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lnlattennet._statistics import median_interval, ratio_interval
from lnlattennet.benchmarks.harness._record import ExperimentResult, RequirementResult

_REQUIREMENT_COLUMNS = (
    "required", "case", "state", "bound", "measured",
    "95% interval", "at F.sum()'s rate", "against", "status",
)  # fmt: skip


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines of even columns, a rule under the first."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def comparison_table(cases: Iterable[ExperimentResult], subject: str, unit: str, per_unit: float) -> str:
    """Return a row for each candidate of each case: median warm time, and its ratio to the subject's.

    Args:
        cases: measured ones.
        subject: the candidate that the others are compared with.
        unit: of the printed times, such as "ms per face".
        per_unit: microseconds in it.
    """
    rows = [("case", "candidate", unit, "95% interval", "time over the first", "95% interval")]
    for case in cases:
        for name in case.candidates:
            timing, own = case.timing(name), case.timing(subject)
            if timing is None or own is None:
                continue
            median, *interval = (value / per_unit for value in median_interval(timing.samples_us))
            ratio, *ratio_bounds = ratio_interval(timing.samples_us, own.samples_us)
            rows.append((
                case.name, name, f"{median:.2f}", _interval(interval), f"{ratio:.3f}", _interval(ratio_bounds)
            ))  # fmt: skip
    return aligned(rows)


def requirement_table(results: Iterable[RequirementResult]) -> str:
    """Return the required figures, each with its 95% interval and whether it is reached."""
    rows = [_REQUIREMENT_COLUMNS]
    for row in results:
        bound = "" if row.bound is None else f"{'at most' if row.upper else 'at least'} {row.bound:g}"
        value, at_rate = ("" if n is None else f"{n:.4g}" for n in (row.value, row.at_read_rate))
        interval = _interval(row.interval)
        rows.append((row.text, row.case, row.state, bound, value, interval, at_rate, row.against, row.status))
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return aligned(list(zip(*columns, strict=True)))


def _interval(bounds: Sequence[float] | None) -> str:
    return "{:.2f} - {:.2f}".format(*bounds) if bounds else ""
