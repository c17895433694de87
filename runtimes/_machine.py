"""The facts of this machine that decide which engines run on it; no runtime is imported to find them."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from lnlattennet.runtimes._registry import backend_infos

_CPUINFO = Path("/proc/cpuinfo")
_QUERY = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
_SECONDS = 20


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: its name, compute capability such as "8.9", and the driver's version."""

    name: str
    compute_capability: str
    driver: str


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        platform: operating system and processor, such as "Linux x86_64".
        python: version of this Python.
        cpu_features: flags of /proc/cpuinfo.
        packages: package -> installed version, for those that were asked for and are installed.
        gpus: the NVIDIA GPUs.
        no_gpu: why there is none, or "".
    """

    platform: str
    python: str
    cpu_features: frozenset[str] = frozenset()
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    no_gpu: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them, the CPU's flags sorted."""
        gpus = [dataclasses.asdict(gpu) for gpu in self.gpus]
        fields = {name: getattr(self, name) for name in ("platform", "python", "no_gpu")}
        features = sorted(self.cpu_features)
        return {**fields, "cpu_features": features, "packages": dict(self.packages), "gpus": gpus}


def this_machine(packages: Iterable[str]) -> Machine:
    """Look at this machine; ``packages`` are the ones whose versions matter."""
    gpus, no_gpu = _gpus()
    return Machine(
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        cpu_features=cpu_features(_CPUINFO.read_text() if _CPUINFO.is_file() else ""),
        packages=_installed(packages),
        gpus=gpus,
        no_gpu=no_gpu,
    )


def cpu_features(cpuinfo: str) -> frozenset[str]:
    """Return the flags of the first processor in a /proc/cpuinfo; ARM calls them Features."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Read what nvidia-smi answers to the query for name, compute capability and driver."""
    # A name may hold a comma, the other two never do.
    rows = [line.rsplit(",", 2) for line in text.splitlines() if line.count(",") >= 2]
    return tuple(Gpu(*(cell.strip() for cell in row)) for row in rows)


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


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return (), "no NVIDIA driver is installed (nvidia-smi is not on PATH)"
    try:
        done = subprocess.run(
            [program, *_QUERY], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"nvidia-smi does not answer: {error}"
    gpus = parse_gpus(done.stdout) if done.returncode == 0 else ()
    said = (done.stdout + done.stderr).strip().splitlines()
    return gpus, "" if gpus else f"nvidia-smi names no GPU: {said[0] if said else 'it prints nothing'}"
