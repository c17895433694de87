"""CPUs and GPUs of this machine, read without torch or an inference runtime."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lnlattennet.errors import ConfigError
from lnlattennet.machine._control_group import cpu_quota

THREADS_VARIABLE = "LNLATTENNET_THREADS"
"""Variable with the number of threads for everything: engines, loaders, servers."""

_CPUINFO = Path("/proc/cpuinfo")
_QUERY = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
_CUDA_DRIVER = Path(__file__).with_name("_cuda_driver.py")
_SECONDS = 20


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: its name, compute capability such as "8.9", and the driver's version."""

    name: str
    compute_capability: str
    driver: str


def usable_cpus() -> int:
    """Return how many CPUs this process may use: ``$LNLATTENNET_THREADS``, else what containers leave it.

    Without the variable it is the smaller of the affinity (`taskset`, cpusets, batch systems) and the quota
    of the control group, rounded up.

    Raises:
        ConfigError: the variable is not a whole number from 1 on.
    """
    chosen = os.environ.get(THREADS_VARIABLE)
    if chosen:
        if not chosen.isascii() or not chosen.isdecimal() or int(chosen) < 1:
            raise ConfigError(f"{THREADS_VARIABLE} must be a number from 1 on, got {chosen!r}; or unset it")
        return int(chosen)
    visible, quota = len(os.sched_getaffinity(0)), cpu_quota()
    return visible if quota is None else max(1, min(visible, math.ceil(quota)))


def limit_threads() -> None:
    """Set the variables of libraries that count the visible CPUs to ``usable_cpus``, where it is less.

    They are read when the libraries are imported. One that is set already stays.
    """
    if usable_cpus() < len(os.sched_getaffinity(0)):
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
            os.environ.setdefault(name, str(usable_cpus()))


def cpu_model() -> str:
    """Return the name of this machine's processor; empty if /proc/cpuinfo does not name it."""
    return _cpu_field(_cpuinfo(), "model name")


def cpu_flags() -> frozenset[str]:
    """Return this processor's flags, as /proc/cpuinfo spells them; empty if there is no such file."""
    return parse_cpu_flags(_cpuinfo())


def parse_cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the flags of the first processor in a /proc/cpuinfo; ARM calls them Features."""
    return frozenset(_cpu_field(cpuinfo, "flags", "Features").split())


def find_gpus() -> tuple[tuple[Gpu, ...], str]:
    """Return the NVIDIA GPUs of this machine, and the reason if there is none, else "".

    Containers may have a GPU without ``nvidia-smi``: then CUDA's driver tells.
    """
    program = shutil.which("nvidia-smi")
    gpus, reason = _asked([program, *_QUERY]) if program else ((), "it is not on PATH")
    if gpus:
        return gpus, ""
    # -I: nothing that lies in the current folder is imported.
    gpus, other = _asked([sys.executable, "-I", "-S", _CUDA_DRIVER])
    return gpus, "" if gpus else f"neither nvidia-smi ({reason}) nor CUDA's driver ({other}) names a GPU"


def _asked(command: Sequence[str | Path]) -> tuple[tuple[Gpu, ...], str]:
    try:
        query = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), str(error)
    lines = (query.stdout + query.stderr).strip().splitlines()
    return parse_gpus(query.stdout) if query.returncode == 0 else (), lines[
        0
    ] if lines else "it prints nothing"


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Parse nvidia-smi's answer to the query for name, compute capability and driver."""
    # A name may hold a comma, the other two never do.
    rows = [line.rsplit(",", 2) for line in text.splitlines() if line.count(",") >= 2]
    return tuple(Gpu(*(cell.strip() for cell in row)) for row in rows)


def _cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""


def _cpu_field(cpuinfo: str, *names: str) -> str:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""
