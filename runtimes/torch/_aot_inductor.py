"""AOTInductor: the network compiled ahead of time by torch into one `.pt2` package, the fused op inside.

The package holds machine code that calls into torch, so it runs with the torch that compiled it, on
processors that have the instructions it was compiled for.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from lnlattennet._atomic import replace_file
from lnlattennet._command import caused_by_interrupt
from lnlattennet._hardware import cpu_flags
from lnlattennet.errors import ExportError, require
from lnlattennet.runtimes._base import (
    Arrays,
    Available,
    BackendInfo,
    BuildSpec,
    EngineFile,
    Runner,
    Unavailable,
)
from lnlattennet.runtimes._one_precision import unsupported_unless_one_of
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements

if TYPE_CHECKING:
    from lnlattennet.runtimes.torch._network import EngineNetwork

INFO = BackendInfo(name="aoti", complexity=3, packages={"torch": ()}, machine_code=True, version_bound=True)

_OLDEST_TORCH = Version("2.13")
"""The first that can be told to use no instructions but those it names (``cpp.march``)."""


def availability() -> Available | Unavailable:
    """Say whether torch is installed and new enough, without importing it."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Unavailable("the Python package 'torch' is not installed: pip install 'lnlattennet[export]'")
    if Version(version) < _OLDEST_TORCH:
        return Unavailable(f"compiled engines need torch {_OLDEST_TORCH} or later, installed is {version}")
    return Available({"torch": version})


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """It compiles one precision, and needs a C++ compiler for that."""
    from lnlattennet.runtimes.torch._network import device_here

    if shutil.which(_compiler()) is None:
        return (
            f"AOTInductor needs a C++ compiler, and {_compiler()!r} is not on PATH; install g++, or set CXX"
        )
    known = ("fp32", "bf16", "fp16") if device_here() == "cuda" else ("fp32", "bf16")
    return unsupported_unless_one_of("AOTInductor", plan, known)


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Compile the checkpoint for this machine's GPU, or its CPU; the ONNX file is not needed.

    Raises:
        ExportError: AOTInductor or its C++ compiler failed.
    """
    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.runtimes.torch import _network as torch_network

    device = torch_network.device_here()
    dtype = torch_network.DTYPES[spec.plan.precision]
    network = torch_network.engine_network(load_checkpoint(spec.checkpoint), dtype, device)
    path = spec.directory / f"aoti-{device}-{spec.plan.precision}.pt2"
    instructions = _compile(network, spec, device, path)
    requires = Requirements(
        device="cuda" if device == "cuda" else "cpu",
        packages={"torch": f"=={torch_network.release()}"},
        platform=f"{platform.system()} {platform.machine()}",
        cpu_features=instructions,
        compute_capabilities=torch_network.compute_capabilities(device),
    )
    return EngineFile(path, requires, torch_network.layer_precisions(network, spec.image_size))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Load the compiled network on the device that it was compiled for.

    Raises:
        UnavailableError: torch is not installed.
    """
    require("torch", "export")
    import torch

    import lnlattennet.kernels  # noqa: F401  (registers the op that the package calls)
    from lnlattennet.runtimes.torch import _network as torch_network

    torch_network.use_threads(threads)
    return _PackageRunner(torch._inductor.aoti_load_package(str(engine_file)))


class _PackageRunner:
    def __init__(self, package: Any) -> None:
        self._package = package
        self._device = package.get_metadata()["AOTI_DEVICE_KEY"]
        # A package runs one call at a time and waits for its turn without letting other threads run, while
        # the first call of the fused op may need them: take turns here.
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        from lnlattennet.runtimes.torch._network import run_on_arrays

        with self._lock:
            return run_on_arrays(self._package, inputs, self._device)


def _compile(network: EngineNetwork, spec: BuildSpec, device: str, path: Path) -> list[str]:
    """Write the package and return the flags of /proc/cpuinfo that its code was compiled with."""
    import torch
    from torch._inductor import config
    from torch._inductor.exc import InductorError
    from torch._inductor.utils import fresh_cache

    # Torch specialises dimensions of 0 and 1, so the example has two images whatever the range is.
    example = torch.zeros(2, 3, spec.image_size, spec.image_size, device=device)
    batch = torch.export.Dim("batch", min=1, max=max(2, spec.batch.maximum))
    # Torch's cache would keep what was compiled for ever; the outer folder goes after Ctrl-C too.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
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
        # The two files of a package do not pay for a pool of processes, which would outlive the build.
        "compile_threads": 1,
        # Else the number of threads of this process would be compiled in.
        "cpp.dynamic_threads": True,
        # Else the compiler may use every instruction of this processor, which the requirements do not name.
        "cpp.march": "",
        # What the processor has: a compiler too old for that fails, while trials of it would take 8 s.
        "cpp.vec_isa_ok": True,
        # They are kept outside of the cache, 70 MB each.
        "aot_inductor.precompile_headers": False,
        "cpp.cxx": (str(_discreet_compiler(folder)),),
    }


def _compiler() -> str:
    return os.environ.get("CXX", "g++")


def _discreet_compiler(folder: Path) -> Path:
    """Write a compiler that names torch's headers without saying where this machine keeps its Python."""
    import torch

    script = folder / Path(_compiler()).name
    renamed = f"-ffile-prefix-map={Path(torch.__file__).parent}=torch"
    # The folder for its temporary files too: killed in mid-work, it leaves them.
    command = f'TMPDIR={shlex.quote(str(folder))} exec {shlex.join([_compiler(), renamed])} "$@"'
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o700)
    return script


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else output[-200:]


def _copy_without_sources(package: str, path: Path) -> None:
    """Generated sources tell where this machine keeps its Python, and nothing reads them."""
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
    from torch._inductor.cpu_vec_isa import pick_vec_isa

    options = pick_vec_isa().build_arch_flags().replace("-m", " ").replace("-", "").split()
    return sorted(flag for flag in cpu_flags() if flag.replace("_", "") in options)
