"""Candidates that torch runs: without a compiler, with `torch.compile`, and as an AOTInductor package."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lnlattennet.benchmarks.harness._turns import Graph, Replayable
from lnlattennet.benchmarks.network._cases import LARGEST_BATCH, NetworkCase, random_network
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes.torch._network import DTYPES, EngineNetwork, engine_network
from lnlattennet.runtimes.torch._package import compile_package

EAGER = "torch eager"
COMPILED = "torch.compile max-autotune"
AOTI = "AOTInductor, fused op"

NO_GPU = "none: the CPU has no CUDA graphs"
CAPTURED = "captured by this benchmark"


class Call:
    """A call outside of a CUDA graph."""

    calls = 1

    def __init__(self, call: Callable[[Tensor], Any], image: Tensor) -> None:
        self._call, self._image = call, image
        self.outputs = call(image)

    def replay(self) -> None:
        """Call it once more."""
        self.outputs = self._call(self._image)


class NetworkBuilds:
    """The float32 network of a run, and the folder for what is built from it; the caller removes it."""

    def __init__(self, config: NetworkConfig, device: str, folder: Path) -> None:
        self.config, self.device, self.folder = config, device, folder
        self.network = random_network(config, device)

    def in_precision(self, precision: str) -> EngineNetwork:
        """Return a copy of the network as it is exported in a precision."""
        return engine_network(copy.deepcopy(self.network), DTYPES[precision], self.device)


def eager(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Replayable, str]:
    """Prepare the network as it is; like the others, return it with a word on whose CUDA graph it is."""
    return captured(builds.in_precision(case.precision), image)


def compiled(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Replayable, str]:
    """Compile with `mode="max-autotune"`, but in this benchmark's CUDA graph like all that torch runs.

    Its own graph would copy the input and go through Python at every call: this is the candidate at its best.
    """
    network = builds.in_precision(case.precision)
    call = torch.compile(network, dynamic=False, fullgraph=True, mode="max-autotune-no-cudagraphs")
    return captured(call, image)


def aoti(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Replayable, str]:
    """Load the package that the project exports: one for all batch sizes."""
    path = _compile_package(builds, case.precision)
    # Several threads at once would need events that a stream under capture must not wait for.
    package = torch._inductor.aoti_load_package(str(path), run_single_threaded=True)
    return captured(package, image)


def captured(call: Callable[[Tensor], Any], image: Tensor) -> tuple[Replayable, str]:
    """Put a call into a CUDA graph; what cannot be captured is measured as it is, and the record says so."""
    if not image.is_cuda:
        return Call(call, image), NO_GPU
    try:
        return Graph(call, [image]), CAPTURED
    except RuntimeError as error:
        return Call(call, image), f"none: {str(error).partition(chr(10))[0]}"


@functools.lru_cache(maxsize=1)  # cases of one precision follow each other
def _compile_package(builds: NetworkBuilds, precision: str) -> Path:
    path = builds.folder / f"{precision}.pt2"
    network = builds.in_precision(precision)
    compile_package(network, builds.config.image_size, LARGEST_BATCH, builds.device, path)
    return path
