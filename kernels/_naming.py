"""Names of the compiled libraries in the cache: a name tells what is in a library.

It holds device, architectures, a key of sources and flags, and a key of the compilers. So another version of
anything is another file, and a file that is there can be used.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from lnlattennet.errors import UnavailableError
from lnlattennet.kernels._architectures import NVCC_FLAGS, find_nvcc
from lnlattennet.kernels._cache import cache_folder
from lnlattennet.kernels._compilers import CXX_FLAGS, LINKER_FLAGS, compiler_version, find_cxx

CSRC = Path(__file__).parent / "csrc"
EXTENSION = Path(__file__).with_name("_compile_worker.py")
"""The program that compiles a library."""


def host() -> tuple[str, ...]:
    """Return the architecture of this machine's CPU: what the CPU library is for."""
    return (platform.machine(),)


def library_path(device: str, architectures: Sequence[str]) -> Path:
    """Return where the library of these sources and compilers belongs.

    Args:
        device: "cpu" or "cuda".
        architectures: for "cuda" compute capabilities without their dot; for "cpu" what ``host()`` says.

    Raises:
        UnavailableError: a compiler is missing.
    """
    keys = f"{_sources_key(device)}-{_compilers_key(device)}"
    return cache_folder() / f"lnlattennet_{device}-{'.'.join(architectures)}-{keys}.so"


def find_library(device: str, architectures: Sequence[str]) -> Path | None:
    """Return the newest library of these sources and this machine's compilers that runs on ``architectures``.

    Without compilers any compiler's library will do: it was built ahead of time, elsewhere.
    """
    try:
        compilers = _compilers_key(device)
    except UnavailableError:
        compilers = "*"
    found = cache_folder().glob(f"lnlattennet_{device}-*-{_sources_key(device)}-{compilers}.so")
    fitting = [path for path in found if _run_on(architectures_of(path), architectures)]
    return max(fitting, key=lambda path: path.stat().st_mtime, default=None)


def architectures_of(library: Path) -> tuple[str, ...]:
    """Return what a library was compiled for."""
    return tuple(library.name.split("-")[1].split("."))


def find_compilers(device: str) -> list[Path]:
    """Return the compilers that a device's library needs.

    Raises:
        UnavailableError: one is missing.
    """
    return [find_cxx(), *([find_nvcc()] if device == "cuda" else [])]


def _sources_key(device: str) -> str:
    flags = [*CXX_FLAGS, *LINKER_FLAGS, *(NVCC_FLAGS if device == "cuda" else ()), *host()]
    files = [path for part in ("core", device) for path in (CSRC / part).rglob("*") if path.is_file()]
    binding = [path for pattern in ("*.h", f"{device}.cpp") for path in (CSRC / "torch").glob(pattern)]
    named = [
        f"{path.relative_to(CSRC)}\n".encode() + path.read_bytes() for path in sorted([*files, *binding])
    ]
    return digest([repr(flags).encode(), EXTENSION.read_bytes(), *named])


def _compilers_key(device: str) -> str:
    return digest(compiler_version(compiler).encode() for compiler in find_compilers(device))


def digest(parts: Iterable[bytes]) -> str:
    """Return 12 hexadecimal digits that tell these parts, in this order, from others."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:12]


def _run_on(compiled: Sequence[str], wanted: Sequence[str]) -> bool:
    return all(any(_runs_on(have, want) for have in compiled) for want in wanted)


def _runs_on(have: str, want: str) -> bool:
    # GPU code also runs on later GPUs of its major version: 8.0 on 8.9, never on 9.0.
    both_gpus = have.isdecimal() and want.isdecimal()
    return have == want or (both_gpus and have[:-1] == want[:-1] and have < want)
