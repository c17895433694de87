"""Facts about the machine that every record of measurements holds; what other programs do is in `_load`."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet.machine._control_group import cpu_quota, memory_limit
from lnlattennet.machine._hardware import cpu_flags, cpu_model, find_gpus, usable_cpus

_FLAGS = re.compile(r"^(avx|amx|fma|f16c|asimd|sve|neon)")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def machine_facts(device: str) -> dict[str, Any]:
    """Return what the figures depend on: processor, caches, limits, versions, threads, load."""
    facts = {
        "cpu": cpu_model() or platform.machine(),
        "cpu_flags": sorted(filter(_FLAGS.match, cpu_flags())),
        "cpus": usable_cpus(),
        "cpu_quota": cpu_quota(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "memory_limit_bytes": memory_limit(),
        "last_level_cache_bytes": last_level_cache(),
        "transparent_huge_pages": _huge_pages(),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    return facts | _torch_facts() | (_gpu_facts() if device == "cuda" else {})


def last_level_cache() -> int:
    """Return the bytes of the largest cache of the first CPU; 0 if the system does not say."""
    # Linux writes every size in KiB, such as "32768K".
    sizes = (int(path.read_text().strip().removesuffix("K")) for path in _CACHES.glob("index*/size"))
    return 2**10 * max(sizes, default=0)


def gpu_name() -> str:
    """Return the GPU's name for a file name, such as "nvidia-h200"."""
    import torch

    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")


def _huge_pages() -> str:
    """Return when large allocations come in large pages, which decides what a new tensor costs on a CPU."""
    chosen = re.search(r"\[(\w+)\]", _HUGE_PAGES.read_text()) if _HUGE_PAGES.exists() else None
    return chosen.group(1) if chosen else "unknown"


def _torch_facts() -> dict[str, Any]:
    """Return torch's threads and version; a bundle is served, and measured, without it too."""
    try:
        import torch
    except ModuleNotFoundError:
        return {"threads": usable_cpus()}
    return {"threads": torch.get_num_threads(), "torch": torch.__version__}


def _gpu_facts() -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(0)
    gpus, reason = find_gpus()
    return {
        "gpu": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "gpu_memory_bytes": properties.total_memory,
        "gpu_cache_bytes": properties.L2_cache_size,
        "cuda": torch.version.cuda,
        "driver": gpus[0].driver if gpus else f"unknown: {reason}",
    }
