"""Facts of this machine that decide which engines run on it, read without importing a runtime."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from packaging.utils import canonicalize_name

from lnlattennet.machine._hardware import Gpu, cpu_flags, find_gpus
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._registry import backend_infos

EXACT_INT8 = ("avx512_vnni", "avx_vnni")
"""Dot products of 8-bit numbers, the best first.

Without them, x86 adds pairs of products in 16 bits, which may saturate: outputs that were verified here would
not be the same there.
"""

_USED_BY = {"int8": EXACT_INT8, "bf16": ("avx512_bf16",)}
"""Precision -> instructions that runtimes compute it with, the best first."""


@dataclass(frozen=True)
class Machine:
    """Facts of one machine.

    Attributes:
        platform: operating system and processor, such as "Linux x86_64".
        python: version of this Python.
        cpu_features: flags of /proc/cpuinfo.
        packages: package -> installed version; packages that are not installed are absent.
        gpus: the NVIDIA GPUs.
        no_gpu: why there is no GPU, or "".
    """

    platform: str
    python: str
    cpu_features: frozenset[str] = frozenset()
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    no_gpu: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them, the CPU's flags sorted."""
        return dataclasses.asdict(self) | {"cpu_features": sorted(self.cpu_features)}


def this_machine(packages: Iterable[str]) -> Machine:
    """Return the facts of this machine; ``packages`` are the ones whose versions matter."""
    gpus, no_gpu = find_gpus()
    return Machine(
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        cpu_features=cpu_flags(),
        packages=_installed(packages),
        gpus=gpus,
        no_gpu=no_gpu,
    )


def features_used(plan: PrecisionPlan) -> list[str]:
    """Return the CPU flags that a runtime makes use of on this machine to give the plan's precisions."""
    available = cpu_flags()
    wanted = [features for precision, features in _USED_BY.items() if precision in plan.precisions]
    best = (next((flag for flag in features if flag in available), "") for features in wanted)
    return [flag for flag in best if flag]


def installed_server() -> tuple[str, str] | None:
    """Return path and release of the tritonserver on PATH; the release is "" if its image does not say."""
    program = shutil.which("tritonserver")
    # NVIDIA's images set the variable; nothing else says which release a server belongs to.
    release = os.environ.get("NVIDIA_TRITON_SERVER_VERSION", "")
    return (program, release if re.fullmatch(r"\d\d\.\d\d", release) else "") if program else None


def _installed(packages: Iterable[str]) -> dict[str, str]:
    alternatives = {name: others for info in backend_infos() for name, others in info.packages.items()}
    versions = {}
    for package in sorted(set(packages)):
        name = canonicalize_name(package)
        for distribution in (name, *alternatives.get(name, ())):
            try:
                versions[package] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return versions
