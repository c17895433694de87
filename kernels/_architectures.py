"""Which GPUs the CUDA kernels are compiled for, by which compiler and with which flags."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lnlattennet.errors import UnavailableError

ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
"""Compute capabilities without their dot: 7.5 (Turing) to 12.0 (Blackwell)."""

# torch.utils.cpp_extension passes these to every extension: code that compiles here compiles there too.
NVCC_FLAGS = (
    "-std=c++17",
    "-O3",
    "--expt-relaxed-constexpr",
    "-D__CUDA_NO_HALF_OPERATORS__",
    "-D__CUDA_NO_HALF_CONVERSIONS__",
    "-D__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "-D__CUDA_NO_HALF2_OPERATORS__",
)


def find_nvcc() -> Path:
    """Return the CUDA compiler: of ``CUDA_HOME`` or ``CUDA_PATH``, on ``PATH``, or in its usual place.

    Raises:
        UnavailableError: none is there.
    """
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [str(Path(home) / "bin") for home in homes if home]
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/local/cuda/bin"])
    found = shutil.which("nvcc", path=path)
    if found is None:
        raise UnavailableError(
            "no CUDA compiler: nvcc is neither in CUDA_HOME/bin nor on PATH; install the CUDA toolkit 12.8 "
            "or newer (https://developer.nvidia.com/cuda-downloads) and set CUDA_HOME to its folder"
        )
    return Path(found)
