"""AOTInductor: the network compiled ahead of time by torch into one `.pt2` package, the fused op inside.

The package holds machine code that calls into torch, so it runs with the torch that compiled it, on
processors that have the instructions it was compiled for.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from lnlattennet._program_folder import is_plain, program_folder, temporary_files_in
from lnlattennet.errors import UnavailableError, require
from lnlattennet.runtimes._base import (
    Arrays,
    Available,
    BackendInfo,
    BuildSpec,
    EngineFile,
    Runner,
    Unavailable,
    installed,
)
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements

INFO = BackendInfo(name="aoti", complexity=3, packages={"torch": ()}, machine_code=True, version_bound=True)

_OLDEST_TORCH = Version("2.13")
"""The first version with an option to use only instructions that it names (``cpp.march``)."""


def availability() -> Available | Unavailable:
    """Return whether torch is installed and new enough, without importing it."""
    found = installed("torch", extra="export")
    if isinstance(found, Available) and Version(version := found.versions["torch"]) < _OLDEST_TORCH:
        return Unavailable(f"compiled engines need torch {_OLDEST_TORCH} or later, installed is {version}")
    return found


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why the plan cannot be compiled: no C++ compiler, or more than one precision."""
    from lnlattennet.runtimes.torch._network import unsupported_precisions
    from lnlattennet.runtimes.torch._package import cxx_compiler

    if shutil.which(compiler := cxx_compiler()) is None:
        return f"AOTInductor needs a C++ compiler, and {compiler!r} is not on PATH; install g++, or set CXX"
    try:
        program_folder()
    except UnavailableError as error:
        return f"AOTInductor: {error}"
    if not is_plain(sys.prefix):
        return f"AOTInductor cannot link with the torch of {sys.prefix!r}: it splits paths at spaces"
    return unsupported_precisions("AOTInductor", plan)


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Compile the checkpoint for this machine's GPU, or its CPU; the ONNX file is not needed.

    Raises:
        ExportError: AOTInductor or its C++ compiler failed.
    """
    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.runtimes.torch import _network as torch_network
    from lnlattennet.runtimes.torch._package import compile_package

    device = torch_network.device_here()
    dtype = torch_network.DTYPES[spec.plan.precision]
    network = torch_network.engine_network(load_checkpoint(spec.checkpoint).network(), dtype, device)
    path = spec.directory / f"aoti-{device}-{spec.plan.precision}.pt2"
    instructions = compile_package(network, spec.image_size, spec.batch.maximum, device, path)
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
        UnavailableError: torch is not installed, or no temporary folder may hold programs.
    """
    require("torch", "export")
    import torch

    import lnlattennet.kernels  # noqa: F401  (registers the op that the package calls)
    from lnlattennet.runtimes.torch import _network as torch_network

    torch_network.use_threads(threads)
    # Torch unpacks the code into a temporary folder to load it, which a process that is killed would leave.
    # On a CPU nothing is read from there afterwards; a GPU's kernels are, at the first call.
    with ExitStack() as stack:
        folder = program_folder()
        if torch_network.device_here() == "cpu":
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        stack.enter_context(temporary_files_in(folder))
        package = torch._inductor.aoti_load_package(str(engine_file))
    device = package.get_metadata()["AOTI_DEVICE_KEY"]
    # A package runs one call at a time and waits for its turn without letting other threads run, while
    # the first call of the fused op may need them: take turns here.
    lock = threading.Lock()

    def run(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        with lock:
            return torch_network.run_on_arrays(package, device, inputs)

    return run
