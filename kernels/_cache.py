"""Cache of the compiled libraries: a folder per user, shared by processes that may build at the same time.

A library's file name holds its device, its architectures, a key of sources and flags, and a key of the
compilers. So another version of anything is another file, and a file that is there can be used.
"""

from __future__ import annotations

import errno
import hashlib
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lnlattennet._cache_folder import cache_folder
from lnlattennet._program_folder import forbids_programs
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.kernels._toolchain import (
    CXX_FLAGS,
    LINKER_FLAGS,
    NVCC_FLAGS,
    compiler_version,
    find_compilers,
)

CSRC = Path(__file__).parent / "csrc"
COMPILE_WORKER = Path(__file__).with_name("_compile_worker.py")
"""The program that compiles a library."""

KERNELS = "kernels"
"""Name of the libraries' folder in the user's cache."""


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Create ``folder``; turn file system errors, here and in the block, into one that names the folder.

    Raises:
        LnlAttenNetError: the folder cannot be created or written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if forbids_programs(folder):
            raise OSError(errno.EPERM, "no library loads from a file system that is mounted noexec")
        yield
    except OSError as error:
        raise LnlAttenNetError(
            f"the kernels' cache folder {folder} cannot be used ({error.strerror or error}); set "
            "LNLATTENNET_CACHE to a folder that can be written"
        ) from error


def write_checksum(library: Path, content: Path) -> None:
    """Write the checksum of ``content`` beside ``library``, for ``sha256sum --check`` and ``is_complete``."""
    _checksum_path(library).write_text(f"{_sha256(content)}  {library.name}\n")


def is_complete(library: Path) -> bool:
    """Return whether a library matches its checksum; loading a truncated file would crash the process."""
    try:
        expected = _checksum_path(library).read_text().split()[:1]
    except OSError:
        return False
    return expected == [_sha256(library)]


def _checksum_path(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def host() -> tuple[str, ...]:
    """Return the architecture of this machine's CPU: what the CPU library is compiled for."""
    return (platform.machine(),)


def library_path(device: str, architectures: Sequence[str]) -> Path:
    """Return where the library of these sources and compilers belongs.

    Args:
        device: "cpu" or "cuda".
        architectures: for "cuda" compute capabilities without their dot; for "cpu" what ``host()`` returns.

    Raises:
        UnavailableError: a compiler is missing.
    """
    keys = f"{_sources_key(device)}-{_compilers_key(device)}"
    return cache_folder(KERNELS) / f"lnlattennet_{device}-{'.'.join(architectures)}-{keys}.so"


def find_library(device: str, architectures: Sequence[str]) -> Path | None:
    """Return the newest library of these sources and this machine's compilers that runs on ``architectures``.

    Without compilers, the library of any compiler is taken: it was built ahead of time, elsewhere.
    """
    try:
        compilers = _compilers_key(device)
    except UnavailableError:
        compilers = "*"
    libraries = cache_folder(KERNELS).glob(f"lnlattennet_{device}-*-{_sources_key(device)}-{compilers}.so")
    fitting = [path for path in libraries if _run_on(architectures_of(path), architectures)]
    return max(fitting, key=lambda path: path.stat().st_mtime, default=None)


def architectures_of(library: Path) -> tuple[str, ...]:
    """Return the architectures that a library was compiled for."""
    return tuple(library.name.split("-")[1].split("."))


def cache_key(parts: Iterable[bytes]) -> str:
    """Return 12 hexadecimal digits that distinguish these parts, in this order, from others."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:12]


def _sources_key(device: str) -> str:
    flags = [*CXX_FLAGS, *LINKER_FLAGS, *(NVCC_FLAGS if device == "cuda" else ()), *host()]
    files = [path for part in ("core", device) for path in (CSRC / part).rglob("*") if path.is_file()]
    binding = [path for pattern in ("*.h", f"{device}.cpp") for path in (CSRC / "torch").glob(pattern)]
    named = [
        f"{path.relative_to(CSRC)}\n".encode() + path.read_bytes() for path in sorted([*files, *binding])
    ]
    return cache_key([repr(flags).encode(), COMPILE_WORKER.read_bytes(), *named])


def _compilers_key(device: str) -> str:
    return cache_key(compiler_version(compiler).encode() for compiler in find_compilers(device))


def _run_on(compiled: Sequence[str], needed: Sequence[str]) -> bool:
    return all(any(_runs_on(have, need) for have in compiled) for need in needed)


def _runs_on(have: str, need: str) -> bool:
    # GPU code also runs on later GPUs of its major version: 8.0 on 8.9, never on 9.0.
    both_gpus = have.isdecimal() and need.isdecimal()
    return have == need or (both_gpus and have[:-1] == need[:-1] and have < need)
