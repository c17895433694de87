"""Candidates that torch runs: without a compiler, with `torch.compile`, and as an AOTInductor package."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lnlattennet.benchmarks.harness._cuda_graph import Graph, Replayable
from lnlattennet.benchmarks.network._cases import (
    LARGEST_BATCH,
    NetworkCase,
    Outputs,
    random_network,
)
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes.torch._network import DTYPES, EngineNetwork, engine_network
from lnlattennet.runtimes.torch._package import compile_package

EAGER = "torch eager"
COMPILED = "torch.compile max-autotune"
AOTI = "AOTInductor, fused op"

NO_GPU = "none: the CPU has no CUDA graphs"
CAPTURED = "captured by this benchmark"


class Prepared(Replayable, Protocol):
    """A candidate that is compiled and has its input; a replay on a CPU is done when it returns.

    Attributes:
        outputs: of the last replay, once the GPU is done.
    """

    outputs: Any


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
    """The network of a run, and the files that are built from it once for several cases.

    Attributes:
        config: the network's.
        device: "cpu" or "cuda".
        folder: for files; the caller removes it.
        network: float32.
    """

    def __init__(self, config: NetworkConfig, device: str, folder: Path) -> None:
        self.config, self.device, self.folder = config, device, folder
        self.network = random_network(config, device)
        self._files: dict[tuple[str, str], Path] = {}

    def in_precision(self, precision: str) -> EngineNetwork:
        """Return a copy of the network as it is exported in a precision."""
        return engine_network(copy.deepcopy(self.network), DTYPES[precision], self.device)

    def file(self, kind: str, precision: str, write: Callable[[NetworkBuilds, str], Path]) -> Path:
        """Return the file that ``write`` gave when it was first called for this kind and precision."""
        if (kind, precision) not in self._files:
            self._files[kind, precision] = write(self, precision)
        return self._files[kind, precision]


def eager(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Prepared, str]:
    """The network as it is; like the others it returns what to replay, and whose CUDA graph that is."""
    return captured(builds.in_precision(case.precision), image)


def compiled(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Prepared, str]:
    """What `mode="max-autotune"` compiles, but in this benchmark's CUDA graph, as all of torch's are.

    Its own would copy the input and go through Python at every call: this is the candidate at its best.
    """
    network = builds.in_precision(case.precision)
    call = torch.compile(network, dynamic=False, fullgraph=True, mode="max-autotune-no-cudagraphs")
    return captured(call, image)


def aoti(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Prepared, str]:
    """The package that the project exports: one for all batch sizes."""
    path = builds.file("pt2", case.precision, _compile_package)
    # Several threads at once would need events that a stream under capture must not wait for.
    package = torch._inductor.aoti_load_package(str(path), run_single_threaded=True)
    return captured(package, image)


def captured(call: Callable[[Tensor], Outputs], image: Tensor) -> tuple[Prepared, str]:
    """Put a call into a CUDA graph; what cannot be captured is measured as it is, and the record says so."""
    if not image.is_cuda:
        return Call(call, image), NO_GPU
    try:
        return Graph(call, [image]), CAPTURED
    except RuntimeError as error:
        return Call(call, image), f"none: {str(error).partition(chr(10))[0]}"


def _compile_package(builds: NetworkBuilds, precision: str) -> Path:
    path = builds.folder / f"{precision}.pt2"
    network = builds.in_precision(precision)
    compile_package(network, builds.config.image_size, LARGEST_BATCH, builds.device, path)
    return path
