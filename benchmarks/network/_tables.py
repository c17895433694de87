"""What a record of `benchmarks/network/__main__.py` says: ratios, and plain text."""

from __future__ import annotations

from typing import Any

from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.attention._tables import aligned
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT
from lnlattennet.benchmarks.network._torch_candidates import AOTI, COMPILED, EAGER

_BOUNDS = {EAGER: 1.0, COMPILED: 1.0, ONNX_RUNTIME: None, TENSORRT: None}
"""An export should not be slower than what torch gives without one; the others are of interest."""

_COLUMNS = ("case", "rival", "median, us", "p10 - p90", "over AOTI", "error", "CUDA graph", "prepared in, s")


def engine_requirement_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for every case and rival, its time over AOTInductor's, with 95% interval and status."""
    return [
        {"text": f"time of {rival} over AOTInductor's", "case": case["name"], "state": "", "upper": False}
        | _judged(case["rivals"], rival, bound)
        for case in record["cases"]
        for rival, bound in _BOUNDS.items()
    ]


def cases_without_aoti(record: dict[str, Any]) -> list[str]:
    """Name the measured cases in which the subject of the benchmark failed, and why."""
    pairs = [(case["name"], case["rivals"][AOTI].get("failed")) for case in record["cases"]]
    return [f"{name}: {failed}" for name, failed in pairs if failed]


def engine_table(record: dict[str, Any]) -> str:
    """Return a row for every rival of every case, and under them why some were left out."""
    rows, reasons = [_COLUMNS], []
    for case in record["cases"]:
        ours = case["rivals"][AOTI].get("median_us")
        for name, result in case["rivals"].items():
            if "failed" in result:
                rows.append((case["name"], name, "left out", *[""] * 5))
                reasons.append(f"{case['name']}: {name} is left out: {result['failed']}")
                continue
            ratio = f"{result['median_us'] / ours:.2f}x" if ours else ""
            rows.append((
                case["name"], name, f"{result['median_us']:.1f}",
                f"{result['p10_us']:.1f} - {result['p90_us']:.1f}", ratio, f"{result['relative_error']:.1e}",
                result["cuda_graph"], f"{result['prepare_seconds']:.1f}",
            ))  # fmt: skip
    return "\n".join([aligned(rows), *reasons])


def _judged(rivals: dict[str, Any], rival: str, bound: float | None) -> dict[str, Any]:
    theirs, ours = (rivals.get(name, {}).get("samples_us") for name in (rival, AOTI))
    if not theirs or not ours:
        return {"bound": bound, "status": "not measured"}
    value, low, high = ratio_interval(theirs, ours)
    status = "nothing required" if bound is None else "reached" if value >= bound else "missed"
    return {"bound": bound, "value": value, "interval": [low, high], "status": status}
