"""The C++ compiler, its flags and versions. The CUDA compiler's side is ``architectures.py``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lnlattennet.errors import LnlAttenNetError, UnavailableError

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
# Where a compiler links the C++ library statically (an image's own g++, LDFLAGS), its streams would take half
# of their parts from torch's shared copy, and crash. Hidden, the copy is whole.
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
        found = shutil.which(name)
        if found:
            return Path(found)
    missing = f"CXX names {chosen!r}, which is no program" if chosen else "no C++ compiler is on PATH"
    raise UnavailableError(f"{missing}; install one (Debian, Ubuntu: apt install g++) or name it in CXX")


def compiler_version(compiler: Path) -> str:
    """Return what the compiler says of itself.

    Raises:
        LnlAttenNetError: it cannot be run.
    """
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise LnlAttenNetError(f"the compiler {compiler} cannot be run: {error}") from error
    return done.stdout


def cuda_libraries(nvcc: Path) -> list[str]:
    """Return the linker's arguments for the static CUDA runtime, from where nvcc itself takes it."""
    command = [str(nvcc), "--dryrun", "-o", "unused", "unused.o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"^#\$ LIBRARIES=(.*)$", done.stderr, re.MULTILINE)
    folders = re.findall(r'"(-L[^"]+)"', found.group(1)) if found else []
    return [*folders, "-lcudart_static", "-lrt", "-lpthread", "-ldl"]
