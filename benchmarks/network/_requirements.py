"""Ratios that are required of the AOTInductor package."""

from __future__ import annotations

from lnlattennet.benchmarks.harness._record import WARM, Record, RequirementResult
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT
from lnlattennet.benchmarks.network._torch_candidates import AOTI, COMPILED, EAGER

_BOUNDS = {EAGER: 1.0, COMPILED: 1.0, ONNX_RUNTIME: None, TENSORRT: None}
"""An export should not be slower than what torch gives without one; the others are of interest."""


def requirement_results(record: Record) -> list[RequirementResult]:
    """Return, for every case and candidate, its time over AOTInductor's, with 95% interval and status."""
    return [
        RequirementResult(
            text=f"time of {name} over AOTInductor's", case=case.name, state=WARM, bound=bound
        ).with_ratio(case, AOTI, [name])
        for case in record.cases
        for name, bound in _BOUNDS.items()
    ]
