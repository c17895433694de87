"""Plain text table of the measured cases."""

from __future__ import annotations

from lnlattennet.benchmarks.attention._candidates import FUSED, ONE_ELEMENT, READ
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, Timing
from lnlattennet.benchmarks.harness._tables import aligned


def case_table(record: Record) -> str:
    """Return a block for every case: each candidate's median, spread and GB/s in each state of the caches."""
    return "\n\n".join(_case_block(case) for case in record.cases)


def _case_block(case: ExperimentResult) -> str:
    fused = case.candidates[FUSED].timings
    header = [case.name]
    for state in fused:
        header += [f"{state}, us", "p10 - p90", "GB/s", "fused is"]
    rows = [header]
    for name, result in case.candidates.items():
        if result.failed:
            rows.append([name, f"left out: {result.failed}"[:60]] + [""] * (len(header) - 2))
            continue
        moved = {READ: case.config["feature_bytes"], ONE_ELEMENT: 0}.get(name, case.config["traffic_bytes"])
        cells = (_cells(result.timings[state], fused[state], moved) for state in fused)
        rows.append([name, *(cell for group in cells for cell in group)])
    return aligned(rows)


def _cells(timing: Timing, fused: Timing, moved_bytes: int) -> list[str]:
    return [
        f"{timing.median_us:.1f}",
        f"{timing.p10_us:.1f} - {timing.p90_us:.1f}",
        f"{moved_bytes / timing.median_us / 1e3:.1f}",
        f"{timing.median_us / fused.median_us:.2f}x",
    ]
