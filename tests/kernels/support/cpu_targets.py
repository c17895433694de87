"""The SIMD targets that the sources have and that this machine's CPU runs."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import lnlattennet.kernels

SOURCES = Path(lnlattennet.kernels.__file__).parent / "csrc"
# Linux's names of what a target's instructions need, read from the machine and not from the library.
_AVX2 = {"avx2", "fma", "f16c"}
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
NEEDS = {"generic": set[str](), "avx2": _AVX2, "avx512": _AVX512, "avx512_bf16": _AVX512 | {"avx512_bf16"}}


def targets_in_sources() -> list[str]:
    """Every target that is compiled, on a machine that can run it or not."""
    return sorted(path.stem.removeprefix("target_") for path in (SOURCES / "cpu").glob("target_*.cpp"))


def cpu_flags() -> set[str]:
    if platform.machine() != "x86_64":
        return set()
    flags_line = re.search(
        r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    return set(flags_line.group(1).split()) if flags_line else set()


def supported_targets() -> list[str]:
    flags = cpu_flags()
    return [target for target in targets_in_sources() if NEEDS[target] <= flags]
