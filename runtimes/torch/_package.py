"""Compilation of a network into an AOTInductor package."""

from __future__ import annotations

import os
import shlex
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch._inductor import config
from torch._inductor.cpu_vec_isa import pick_vec_isa
from torch._inductor.exc import InductorError
from torch._inductor.utils import fresh_cache

from lnlattennet._atomic import replace_file
from lnlattennet._interrupt import caused_by_interrupt
from lnlattennet._program_folder import program_folder
from lnlattennet.errors import ExportError
from lnlattennet.machine._hardware import cpu_flags
from lnlattennet.runtimes.torch._network import EngineNetwork


def compile_package(
    network: EngineNetwork, image_size: int, largest_batch: int, device: str, path: Path
) -> list[str]:
    """Compile a network for batches of 1 to ``largest_batch`` images [3, S, S] and write the package.

    Returns:
        The flags of /proc/cpuinfo that its code was compiled with.

    Raises:
        ExportError: AOTInductor or its C++ compiler failed.
    """
    # Torch specializes dimensions of 0 and 1, so the example has two images whatever the range is.
    example = torch.zeros(2, 3, image_size, image_size, device=device)
    batch = torch.export.Dim("batch", min=1, max=max(2, largest_batch))
    # Inductor runs a compiler script from there, and splits its commands at spaces.
    # Torch's cache would keep compiled files for ever; the outer folder is removed after Ctrl-C too.
    place = program_folder()
    with tempfile.TemporaryDirectory(dir=place) as folder, warnings.catch_warnings(), torch.no_grad():
        # Deprecations inside of torch say nothing about this network.
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
        package = str(Path(folder) / path.name)
        try:
            with fresh_cache(dir=folder), config.patch(_settings(device, Path(folder))):
                torch._inductor.aoti_compile_and_package(program, package_path=package)
                instructions = _instructions()
        except InductorError as error:
            if caused_by_interrupt(error):
                raise
            raise ExportError(f"AOTInductor cannot compile the network: {_last_error(str(error))}") from error
        _copy_without_sources(package, path)
    return instructions


def _settings(device: str, folder: Path) -> dict[str, Any]:
    return {
        # On the CPU: fold constants and batch norms, and lay weights out as its convolutions want them.
        "freezing": device == "cpu",
        # For the two files of a package a pool of processes is no gain, and it would outlive the build.
        "compile_threads": 1,
        # Else the number of threads of this process would be compiled in.
        "cpp.dynamic_threads": True,
        # Else the compiler may use instructions of this processor that the requirements do not list.
        "cpp.march": "",
        # Trust the processor's flags: trial compilations take 8 s, and a too old compiler fails anyway.
        "cpp.vec_isa_ok": True,
        # Torch keeps precompiled headers outside of the cache, 70 MB each.
        "aot_inductor.precompile_headers": False,
        "cpp.cxx": (str(_compiler_without_paths(folder)),),
    }


def cxx_compiler() -> str:
    """Return the C++ compiler that packages are compiled with."""
    return os.environ.get("CXX", "g++")


def _compiler_without_paths(folder: Path) -> Path:
    """Write a compiler script whose output does not contain the folder of this machine's Python."""
    script = folder / Path(cxx_compiler()).name
    renamed = f"-ffile-prefix-map={Path(torch.__file__).parent}=torch"
    # Its temporary files go into the folder too: a compiler that is killed leaves them.
    command = f'TMPDIR={shlex.quote(str(folder))} exec {shlex.join([cxx_compiler(), renamed])} "$@"'
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o700)
    return script


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else output[-200:]


def _copy_without_sources(package: str, path: Path) -> None:
    """Copy the package without its generated sources, which name local folders and are never read."""
    with (
        zipfile.ZipFile(package) as source,
        replace_file(path) as temporary,
        zipfile.ZipFile(temporary, "w") as target,
    ):
        for item in source.infolist():
            if not item.filename.endswith(".cpp"):
                target.writestr(item, source.read(item))


def _instructions() -> list[str]:
    """Return what the compiler was allowed to use, as /proc/cpuinfo says it: -mavx512vnni is avx512_vnni."""
    options = pick_vec_isa().build_arch_flags().replace("-m", " ").replace("-", "").split()
    return sorted(flag for flag in cpu_flags() if flag.replace("_", "") in options)
