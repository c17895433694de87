"""Ratios that are required of the AOTInductor package, and a plain text table of all candidates."""

from __future__ import annotations

from lnlattennet.benchmarks.harness._record import WARM, Record, RequirementResult
from lnlattennet.benchmarks.harness._requirements import with_ratio
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT
from lnlattennet.benchmarks.network._torch_candidates import AOTI, COMPILED, EAGER

_BOUNDS = {EAGER: 1.0, COMPILED: 1.0, ONNX_RUNTIME: None, TENSORRT: None}
"""An export should not be slower than what torch gives without one; the others are of interest."""

_COLUMNS = (
    "case", "candidate", "median, us", "p10 - p90", "over AOTI", "error", "CUDA graph", "prepared in, s"
)  # fmt: skip


def requirement_results(record: Record) -> list[RequirementResult]:
    """Return, for every case and candidate, its time over AOTInductor's, with 95% interval and status."""
    return [
        with_ratio(
            RequirementResult(
                text=f"time of {name} over AOTInductor's", case=case.name, state=WARM, bound=bound
            ),
            case,
            AOTI,
            [name],
        )
        for case in record.cases
        for name, bound in _BOUNDS.items()
    ]


def cases_without_aoti(record: Record) -> list[str]:
    """Name the measured cases in which AOTInductor failed, and why."""
    failures = [(case.name, case.candidates[AOTI].failed) for case in record.cases]
    return [f"{name}: {failed}" for name, failed in failures if failed]


def network_table(record: Record) -> str:
    """Return a row for every candidate of every case, and under them why some were left out."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    reasons = []
    for case in record.cases:
        aoti = case.timing(AOTI)
        for name, result in case.candidates.items():
            timing = case.timing(name)
            if timing is None:
                rows.append((case.name, name, "left out", *[""] * 5))
                reasons.append(f"{case.name}: {name} is left out: {result.failed}")
                continue
            rows.append((
                case.name, name, f"{timing.median_us:.1f}", f"{timing.p10_us:.1f} - {timing.p90_us:.1f}",
                f"{timing.median_us / aoti.median_us:.2f}x" if aoti else "",
                f"{result.relative_error:.1e}", result.cuda_graph, f"{result.prepare_seconds:.1f}",
            ))  # fmt: skip
    return "\n".join([aligned(rows), *reasons])
