"""CPU instructions that an engine's precisions depend on."""

from __future__ import annotations

from pathlib import Path

from lnlattennet.runtimes._machine import cpu_features
from lnlattennet.runtimes._precision import PrecisionPlan

EXACT_INT8 = ("avx512_vnni", "avx_vnni")
"""Dot products of 8-bit numbers, the best first.

Without them, x86 adds pairs of products in 16 bits, which may saturate: answers that were verified here would
not be the same there.
"""

_USED_BY = {"int8": EXACT_INT8, "bf16": ("avx512_bf16",)}
"""Precision -> instructions that runtimes compute it with, the best first."""


def flags() -> frozenset[str]:
    """Return this processor's flags, as /proc/cpuinfo spells them; empty where there is no such file."""
    path = Path("/proc/cpuinfo")
    return cpu_features(path.read_text(encoding="utf-8")) if path.is_file() else frozenset()


def features_used(plan: PrecisionPlan) -> list[str]:
    """Return the flags that a runtime makes use of here to give the plan's precisions."""
    here = flags()
    best = (next((flag for flag in wanted if flag in here), "") for wanted in _wanted(plan))
    return [flag for flag in best if flag]


def _wanted(plan: PrecisionPlan) -> list[tuple[str, ...]]:
    return [features for precision, features in _USED_BY.items() if precision in plan.precisions]
