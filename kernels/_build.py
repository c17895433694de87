"""Build of the compiled libraries into the cache: complete or not at all, by one process at a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from lnlattennet._atomic import file_lock, replace_file
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.kernels._cache import (
    COMPILE_WORKER,
    CSRC,
    find_library,
    library_path,
    writable,
    write_checksum,
)
from lnlattennet.kernels._toolchain import (
    CXX_FLAGS,
    LINKER_FLAGS,
    NVCC_FLAGS,
    STABLE_ABI,
    cuda_libraries,
    find_cxx,
    find_nvcc,
)
from lnlattennet.machine._hardware import usable_cpus

TITLES = {"cpu": "CPU", "cuda": "CUDA"}
# Measured on 2 cores of a server CPU; CUDA for one architecture.
_SECONDS = {"cpu": 20, "cuda": 30}
_SHOWN_LINES = 30


def build_library(device: str, architectures: Sequence[str], *, force: bool = False) -> Path:
    """Return the library, built if it is not there or ``force`` is set.

    Progress is one line on stderr; the compilers' output is shown only if they fail, and kept in a log.

    Args:
        device: "cpu" or "cuda".
        architectures: as in ``library_path``.
        force: build even if the library is there.

    Raises:
        UnavailableError: there is no compiler.
        LnlAttenNetError: the compilers failed, or the cache's folder cannot be written.
    """
    path = library_path(device, architectures)
    waiting = f"waiting for another process that builds the {TITLES[device]} kernels ..."
    with writable(path.parent), file_lock(path.parent / f"{device}.lock", lambda: _print(waiting)):
        existing = None if force else find_library(device, architectures)
        if existing:
            return existing
        _remove_leftovers(path.parent, device)
        with tempfile.TemporaryDirectory(prefix=f".{device}.", dir=path.parent) as folder:
            _build(device, architectures, path, Path(folder))
    return path


def failed_build(device: str, architectures: Sequence[str]) -> Path | None:
    """Return the log of the last build of a library if it failed."""
    log = library_path(device, architectures).with_suffix(".log")
    return log if log.exists() and not log.with_suffix(".so").exists() else None


def _build(device: str, architectures: Sequence[str], path: Path, folder: Path) -> None:
    _print(f"building the {TITLES[device]} kernels (about {_SECONDS[device]} s, once) ...", end=" ")
    started, outcome = time.monotonic(), "failed"
    try:
        job = _job(device, architectures)
        output = _compile(job, path.with_suffix(".log"), folder)
        if library_path(device, architectures) != path:
            raise LnlAttenNetError("the kernels' sources changed while they were compiled; build them again")
        with replace_file(path) as temporary:
            shutil.copyfile(folder / f"{job['name']}.so", temporary)
            write_checksum(path, temporary)  # before the library, which is loaded as soon as it is there
        path.with_suffix(".log").write_text(output, errors="replace")
        outcome = f"done in {time.monotonic() - started:.0f} s: {path}"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        _print(outcome)


def _job(device: str, architectures: Sequence[str]) -> dict[str, Any]:
    """Return the compile worker's arguments: compiler calls for the framework-free code, and the binding."""
    sources = sorted(path for path in (CSRC / device).rglob("*") if path.suffix in (".cpp", ".cu"))
    objects = [f"{number}-{source.stem}.o" for number, source in enumerate(sources)]
    command = _cuda_command(architectures) if device == "cuda" else [str(find_cxx()), *CXX_FLAGS, "-fPIC"]
    pairs = zip(sources, objects, strict=True)
    return {
        "name": f"lnlattennet_{device}",
        "commands": [[*command, "-c", str(source), "-o", target] for source, target in pairs],
        "objects": objects,
        "binding": str(CSRC / "torch" / f"{device}.cpp"),
        "flags": [*CXX_FLAGS, STABLE_ABI],
        "libraries": [*LINKER_FLAGS, *(cuda_libraries(find_nvcc()) if device == "cuda" else [])],
        "workers": usable_cpus(),
    }


def _cuda_command(architectures: Sequence[str]) -> list[str]:
    targets = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in architectures]
    return [str(find_nvcc()), *NVCC_FLAGS, *targets, "-ccbin", str(find_cxx()), "-Xcompiler", "-fPIC"]


def _compile(job: dict[str, Any], log: Path, folder: Path) -> str:
    """Return the compilers' output; if they failed it goes to ``log``: a log without a library means that."""
    command = [sys.executable, "-P", str(COMPILE_WORKER), json.dumps(job)]
    with (folder / "output").open("w+", errors="replace") as stream:
        status = _run(command, folder, stream)
        stream.seek(0)
        output = stream.read()
    if status == 0:
        return output
    log.write_text(output, errors="replace")
    _print("\n".join(["", *output.splitlines()[-_SHOWN_LINES:]]))
    raise LnlAttenNetError(f"the kernels could not be built; the compilers' output is in {log}")


def _run(command: list[str], folder: Path, output: IO[str]) -> int:
    """Run a command and return its exit status; if waiting for it is interrupted, kill its process group."""
    # distutils and torch take the compilers from here; those that Python itself was built with may not exist.
    environment = os.environ | {"CXX": str(find_cxx()), "CC": str(find_cxx())}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _remove_leftovers(folder: Path, device: str) -> None:
    """Remove the files of a build that was killed; the caller holds the lock, so no build is under way."""
    for leftover in folder.glob(f".{device}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for draft in folder.glob(f".lnlattennet_{device}-*.so.*"):
        draft.unlink()


def _print(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
