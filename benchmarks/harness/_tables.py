"""Plain text tables of a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lnlattennet._statistics import median_of_starts, ratio_of_starts
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, RequirementResult

_TIMING_COLUMNS = (
    "case", "candidate", "caches", "median, us", "p10 - p90", "GB/s",
    "time over the first", "error", "CUDA graph", "prepared in, s",
)  # fmt: skip
_REQUIREMENT_COLUMNS = (
    "required", "case", "state", "bound", "measured",
    "95% interval", "at F.sum()'s rate", "against", "status",
)  # fmt: skip


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines of even columns, a rule under the first; empty columns are left out."""
    rows = list(zip(*(column for column in zip(*rows, strict=True) if any(column[1:])), strict=True))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def timing_table(record: Record, subject: str) -> str:
    """Return a row for each candidate, case and state of the caches, and the reasons for those left out."""
    rows, reasons = [_TIMING_COLUMNS], []
    for case in record.cases:
        for name, result in case.candidates.items():
            error = "" if result.relative_error is None else f"{result.relative_error:.1e}"
            prepared = "" if result.prepare_seconds is None else f"{result.prepare_seconds:.1f}"
            for state, timing in result.timings.items():
                own = case.timing(subject, state)
                rows.append((
                    case.name, name, state, f"{timing.median_us:.1f}",
                    f"{timing.p10_us:.1f} - {timing.p90_us:.1f}",
                    f"{result.moved_bytes / timing.median_us / 1e3:.1f}" if result.moved_bytes else "",
                    f"{timing.median_us / own.median_us:.2f}" if own else "",
                    error, result.cuda_graph, prepared,
                ))  # fmt: skip
            if result.failed:
                reasons.append(f"{case.name}: {name} is left out: {result.failed}")
    return "\n".join([aligned(rows), *reasons])


def comparison_table(cases: Iterable[ExperimentResult], subject: str, unit: str, per_unit: float) -> str:
    """Return a row for each candidate of each case: median warm time, and its ratio to the subject's.

    ``unit`` is that of the printed times, such as "ms per face", and ``per_unit`` the microseconds in it.
    """
    rows = [("case", "candidate", unit, "95% interval", "time over the first", "95% interval")]
    for case in cases:
        for name in case.candidates:
            timing, own = case.timing(name), case.timing(subject)
            if timing is None or own is None:
                continue
            median, *interval = (value / per_unit for value in median_of_starts(timing.by_start))
            ratio, *ratio_bounds = ratio_of_starts(timing.by_start, own.by_start)
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
    return aligned(rows)


def _interval(bounds: Sequence[float] | None) -> str:
    """Return an interval as text; one without width is of a single sample, of which nothing more is known."""
    return "{:.2f} - {:.2f}".format(*bounds) if bounds and bounds[0] < bounds[1] else ""
