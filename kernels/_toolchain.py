"""C++ and CUDA compilers, their flags, and the GPU architectures to compile for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lnlattennet.errors import LnlAttenNetError, UnavailableError

ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
"""Compute capabilities without their dot: 7.5 (Turing) to 12.0 (Blackwell)."""

CXX_FLAGS = (
    "-std=c++17",
    "-O2",  # as fast here as -O3 (the loops are vectors already), and compiled in two thirds of the time
    # Not -ffast-math: a NaN in the features must reach the outputs. Not -march=native: the kernels choose
    # their instructions at run time.
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wno-psabi",
    "-g0",
)
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
# If the C++ library is linked statically (a container's own g++, LDFLAGS), its streams would resolve some of
# their symbols in torch's shared copy, and crash. Hidden symbols stay in the library.
LINKER_FLAGS = ("-Wl,--exclude-libs,ALL",)
# The library of torch 2.10's stable ABI loads in that version and every later one.
STABLE_ABI = "-DTORCH_TARGET_VERSION=0x020a000000000000"


def find_cxx() -> Path:
    """Return the C++ compiler: ``$CXX``, else ``c++``, ``g++`` or ``clang++`` on PATH.

    Raises:
        UnavailableError: there is none.
    """
    chosen = os.environ.get("CXX")
    for name in [chosen] if chosen else ["c++", "g++", "clang++"]:
        program = shutil.which(name)
        if program:
            return Path(program)
    missing = f"CXX names {chosen!r}, which is no program" if chosen else "no C++ compiler is on PATH"
    raise UnavailableError(f"{missing}; install one (Debian, Ubuntu: apt install g++) or name it in CXX")


def find_nvcc() -> Path:
    """Return the CUDA compiler: of ``CUDA_HOME`` or ``CUDA_PATH``, on ``PATH``, or in its usual place.

    Raises:
        UnavailableError: there is none.
    """
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [str(Path(home) / "bin") for home in homes if home]
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/local/cuda/bin"])
    program = shutil.which("nvcc", path=path)
    if program is None:
        raise UnavailableError(
            "no CUDA compiler: nvcc is neither in CUDA_HOME/bin nor on PATH; install the CUDA toolkit 12.8 "
            "or newer (https://developer.nvidia.com/cuda-downloads) and set CUDA_HOME to its folder"
        )
    return Path(program)


def find_compilers(device: str) -> list[Path]:
    """Return the compilers that the library of "cpu" or "cuda" needs.

    Raises:
        UnavailableError: one is missing.
    """
    return [find_cxx(), *([find_nvcc()] if device == "cuda" else [])]


def compiler_version(compiler: Path) -> str:
    """Return the output of ``compiler --version``.

    Raises:
        LnlAttenNetError: it cannot be run.
    """
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise LnlAttenNetError(
            f"the compiler {compiler} cannot be run ({error}); install it again, or name another one in "
            "CXX (C++) or CUDA_HOME (nvcc)"
        ) from error
    return done.stdout


def cuda_libraries(nvcc: Path) -> list[str]:
    """Return the linker's arguments for the static CUDA runtime, from where nvcc itself takes it."""
    command = [str(nvcc), "--dryrun", "-o", "unused", "unused.o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    line = re.search(r"^#\$ LIBRARIES=(.*)$", done.stderr, re.MULTILINE)
    folders = re.findall(r'"(-L[^"]+)"', line.group(1)) if line else []
    return [*folders, "-lcudart_static", "-lrt", "-lpthread", "-ldl"]
