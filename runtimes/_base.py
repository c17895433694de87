"""Interface of a backend module: ``Backend`` lists its names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lnlattennet.runtimes._precision import PrecisionPlan
    from lnlattennet.runtimes._requirements import Requirements
    from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

Arrays = dict[str, NDArray[np.float32]]

Runner = Callable[[Mapping[str, NDArray[np.float32]]], Arrays]
"""A loaded engine: {"image": float32 [B, 3, S, S]} -> logits, region_weights and region_affinity.

It takes every batch size in the engine's range; an image's outputs do not depend on the rest of its batch.
"""


@dataclass(frozen=True, kw_only=True)
class BackendInfo:
    """Facts about a backend that hold on every machine; reading them imports no runtime.

    Attributes:
        name: as in `--backend`, in engine names and in manifests.
        complexity: rank by what a server needs to run its engines, from least to most.
        packages: Python package that brings the runtime -> other distributions of the same module. Triton's
            own backend of this name, if there is one, brings the first.
        runner_packages: package -> version specifier (PEP 440) that ``load`` needs, and Triton's own backend
            does not.
        machine_code: engines are compiled code, which crashes on a CPU that lacks one of its instructions.
        version_bound: engines run only with the version of the runtime that built them.
        symmetric_int8: quantized values have a zero point of 0.
        channels_last: convolutions hold their values with the channels innermost, so that graphs of
            ``export.onnx._channels_last`` take less time.
        builder_flags: options of `export-engine` that only this backend's builder takes.
        triton_platform: platform of Triton's own backend of this name; None if engines run in its python one.
        triton_file: name that this Triton backend expects a model's file to have.
    """

    name: str
    complexity: int
    packages: Mapping[str, tuple[str, ...]]
    runner_packages: Mapping[str, str] = field(default_factory=dict)
    machine_code: bool = False
    version_bound: bool = False
    symmetric_int8: bool = False
    channels_last: bool = False
    builder_flags: tuple[str, ...] = ()
    triton_platform: str | None = None
    triton_file: str = ""

    def triton_package(self, required: Collection[str]) -> str | None:
        """Return the one of an engine's required packages that Triton's own backend brings, if one does."""
        if self.triton_platform is None:
            return None
        package, alternatives = next(iter(self.packages.items()))
        return next((name for name in (package, *alternatives) if name in required), None)


@dataclass(frozen=True)
class Available:
    """The runtime is installed.

    Attributes:
        versions: package name -> version, recorded in the manifest.
        run_blocker: why engines that are built here cannot run here; None if they can.
    """

    versions: dict[str, str]
    run_blocker: str | None = None


@dataclass(frozen=True)
class Unavailable:
    """The runtime cannot be used; ``reason`` says why and what to install."""

    reason: str


def installed(*packages: str, extra: str) -> Available | Unavailable:
    """Return the versions of ``packages``, or the extra that installs them if one is missing."""
    # Here, because a server's process that only loads an engine needs no list of packages.
    from importlib import metadata

    try:
        return Available({name: metadata.version(name) for name in packages})
    except metadata.PackageNotFoundError as error:
        return Unavailable(
            f"the Python package {error.name!r} is not installed: pip install 'lnlattennet[{extra}]'"
        )


@dataclass(frozen=True)
class BatchRange:
    """Smallest, most usual and largest batch size of an engine."""

    minimum: int = 1
    optimum: int = 8
    maximum: int = 32

    def __str__(self) -> str:
        return f"{self.minimum}:{self.optimum}:{self.maximum}"


@dataclass(frozen=True)
class BuildSpec:
    """Order for one engine: its folder, batch sizes, input size and precisions.

    Attributes:
        directory: existing folder that the engine file is written into.
        batch: batch sizes that the engine must accept.
        image_size: S of the input [batch, 3, S, S].
        plan: the precision of every block; the ONNX file that ``build`` gets follows it already.
        checkpoint: the `.safetensors` file that the graph came from, for runtimes that compile torch.
        builder_config: options of TensorRT's builder; None takes its defaults.
    """

    directory: Path
    batch: BatchRange
    image_size: int
    plan: PrecisionPlan
    checkpoint: Path
    builder_config: TensorRTBuilderConfig | None = None


@dataclass(frozen=True)
class EngineFile:
    """An engine on disk.

    Attributes:
        path: the file that the backend's ``load`` takes.
        requires: what a machine must have to run it.
        layers: precision -> how many convolutions and matrix products really run in it, read back from the
            runtime; empty where that cannot be read (``EngineRecord.layers``).
    """

    path: Path
    requires: Requirements
    layers: Mapping[str, int] = field(default_factory=dict)


class Backend(Protocol):
    """Names of a backend module."""

    @property
    def INFO(self) -> BackendInfo:  # noqa: N802  (a module's constant)
        """Facts about the backend that hold on every machine."""
        ...

    def availability(self) -> Available | Unavailable:
        """Return whether this machine can build and run engines of this runtime."""
        ...

    def unsupported_reason(self, plan: PrecisionPlan) -> str | None:
        """Return why this runtime cannot give the plan's precisions on this machine; None if it can."""
        ...

    def build(self, onnx_path: Path, spec: BuildSpec) -> EngineFile:
        """Build an engine from the ONNX file (standard operators only, precision in the graph)."""
        ...

    def load(self, engine_file: Path, threads: int) -> Runner:
        """Load an engine file; ``threads`` 0 takes ``usable_cpus``."""
        ...
