"""Table of the registers and memory of every CUDA kernel, per architecture: `make kernels-report`.

The table is committed (docs/records/kernel-resources.md), so a review shows a change of registers or a new
spill as a diff. No GPU is needed: the numbers are ptxas's own.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from lnlattennet._atomic import replace_file
from lnlattennet._command import run_app
from lnlattennet._console import stderr
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.kernels._cache import cache_key
from lnlattennet.kernels._ptxas import KernelResources, parse_ptxas
from lnlattennet.kernels._toolchain import ARCHITECTURES, NVCC_FLAGS, find_nvcc

# Not by way of src/lnlattennet, which links here: sources and the table are named by their own folders.
_ROOT = Path(__file__).resolve().parent.parent
_CSRC = _ROOT / "kernels" / "csrc"
TABLE = _ROOT / "docs" / "records" / "kernel-resources.md"

_INTRODUCTION = """\
# Registers and memory of the CUDA kernels

Written by `make kernels-report` from what ptxas says; do not edit. A cell is registers per thread, then,
where there are any, `st` bytes of stack frame and `sp` bytes of spill stores and loads. `smem`: static
shared memory, bytes. `-`: the kernel is empty there (no thread block clusters before sm_90).

"""


def cuda_sources() -> list[Path]:
    """Return every file of CUDA kernels, sorted."""
    return sorted((_CSRC / "cuda").rglob("*.cu"))


def sources_digest() -> str:
    """Return a digest of what determines the table: the CUDA kernels' sources, architectures and flags."""
    files = sorted(path for part in ("core", "cuda") for path in (_CSRC / part).rglob("*") if path.is_file())
    return cache_key([repr((ARCHITECTURES, NVCC_FLAGS)).encode(), *(path.read_bytes() for path in files)])


def compile_everywhere(
    sources: Iterable[Path], architectures: Sequence[str] = ARCHITECTURES
) -> list[KernelResources]:
    """Compile ``sources`` for every architecture, warnings being errors, and read ptxas's report.

    Raises:
        UnavailableError: there is no nvcc.
        LnlAttenNetError: a file does not compile; the message holds the compiler's output.
    """
    nvcc = find_nvcc()
    jobs = [(source, architecture) for source in sources for architecture in architectures]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = pool.map(lambda job: _compile(nvcc, *job), jobs)
        return sorted(resources for report in reports for resources in report)


def _compile(nvcc: Path, source: Path, architecture: str) -> list[KernelResources]:
    # Host code is the same for all: it is compiled once, with the oldest architecture.
    kind = "-c" if architecture == ARCHITECTURES[0] else "-cubin"
    with tempfile.TemporaryDirectory() as folder:
        target = ["-o", f"{folder}/kernels.o", kind, f"-arch=sm_{architecture}"]
        strict = ["-Werror", "all-warnings", "-Xptxas", "-v", "-Xcompiler", "-fPIC,-Wall,-Wextra,-Werror"]
        command = [str(nvcc), *NVCC_FLAGS, *strict, f"-I{_CSRC}", *target, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    name = source.relative_to(_CSRC).as_posix()
    if done.returncode != 0:
        raise LnlAttenNetError(f"{name} does not compile for sm_{architecture}:\n{done.stdout}{done.stderr}")
    return parse_ptxas(name, architecture, done.stdout + done.stderr)


def table(resources: Iterable[KernelResources]) -> str:
    """Return the markdown table: one section per file, one row per kernel, one column per architecture."""
    sections = [
        _section(source, list(kernels))
        for source, kernels in groupby(sorted(resources), lambda kernel: kernel.source)
    ]
    return f"{_INTRODUCTION}Made from sources {sources_digest()}.\n\n" + "\n".join(sections)


def _section(source: str, kernels: list[KernelResources]) -> str:
    rows = [f"## {source}\n", f"| kernel | smem |{''.join(f' {sm} |' for sm in ARCHITECTURES)}"]
    rows.append("|---" * (2 + len(ARCHITECTURES)) + "|")
    for name, per_architecture in groupby(kernels, lambda kernel: kernel.kernel):
        by_architecture = {kernel.architecture: kernel for kernel in per_architecture}
        shared = max(kernel.static_shared for kernel in by_architecture.values())
        cells = "".join(f" {_cell(by_architecture.get(sm))} |" for sm in ARCHITECTURES)
        rows.append(f"| `{name}` | {shared} |{cells}")
    return "\n".join(rows) + "\n"


def _cell(kernel: KernelResources | None) -> str:
    if kernel is None or kernel.empty:
        return "-"
    stack = f" st {kernel.stack}" if kernel.stack else ""
    spills = f" sp {kernel.spills}" if kernel.spills else ""
    return f"{kernel.registers}{stack}{spills}"


def spilling(resources: Iterable[KernelResources]) -> list[KernelResources]:
    """Return the kernels that keep values in local memory, which is device memory and slow."""
    return [kernel for kernel in resources if kernel.stack or kernel.spills]


def main() -> None:
    """Write the table.

    Raises:
        LnlAttenNetError: a kernel does not compile, or uses local memory.
    """
    resources = compile_everywhere(cuda_sources())
    with replace_file(TABLE) as path:
        path.write_text(table(resources))
    stderr.print(f"{len(resources)} kernels in {TABLE.relative_to(_ROOT)}", highlight=False)
    names = sorted({kernel.kernel for kernel in spilling(resources)})
    if names:
        raise LnlAttenNetError(
            f"kernels must keep their values in registers, and {len(names)} do not (st and sp in the table); "
            "use smaller tiles or fewer blocks per multiprocessor: " + ", ".join(names)
        )


if __name__ == "__main__":
    run_app(main)
