"""What every backend module offers; a new runtime is one more module with these names.

A backend ``NAME`` is a module ``runtimes/NAME.py`` with

    availability() -> Available | Unavailable       can this machine build / run its engines?
    refusal(plan) -> str                            why it cannot give the plan's precisions, or ""
    build(onnx_path, spec) -> EngineFile            write an engine file into ``spec.directory``
    load(engine_file, threads) -> Runner            make it callable

and ``Runner(inputs) -> outputs``, both dicts of named numpy arrays. Runners are independent of their
neighbours in a batch and take any batch size within the engine's range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements

HARDWARE_LEVELS = ("none", "ampere+", "same-compute-capability")
"""GPUs that TensorRT's engines run on, besides the one that they were built on."""

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Available:
    """The runtime is installed.

    Attributes:
        versions: package name -> version, recorded in the manifest.
        cannot_run: why engines can be built here but not run, or "" if they can run.
    """

    versions: dict[str, str]
    cannot_run: str = ""


@dataclass(frozen=True)
class Unavailable:
    """The runtime cannot be used; ``reason`` says why and what to install."""

    reason: str


@dataclass(frozen=True)
class BatchRange:
    """Smallest, most usual and largest batch size of an engine."""

    minimum: int = 1
    optimum: int = 8
    maximum: int = 32

    def __str__(self) -> str:
        return f"{self.minimum}:{self.optimum}:{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class BuilderFlags:
    """What a user may ask of TensorRT's builder; other runtimes have no such thing.

    Attributes:
        timing_cache: file that keeps kernel timings between builds; read if it is there, then written.
        optimization_level: 0 (fast build) to 5 (fast engine); None takes TensorRT's default.
        hardware_compatibility: one of ``HARDWARE_LEVELS``.
        version_compatible: the engine also runs on later versions of the same major one.

    Raises:
        UsageError: a level that no TensorRT has; it would clamp or ignore it.
    """

    timing_cache: Path | None = None
    optimization_level: int | None = None
    hardware_compatibility: str = "none"
    version_compatible: bool = False

    def __post_init__(self) -> None:
        if self.hardware_compatibility not in HARDWARE_LEVELS:
            raise UsageError(
                f"--hardware-compatibility-level must be one of {', '.join(HARDWARE_LEVELS)}, "
                f"got {self.hardware_compatibility!r}"
            )
        if self.optimization_level not in (None, *range(6)):
            raise UsageError(
                f"--builder-optimization-level must be from 0 to 5, got {self.optimization_level}"
            )


@dataclass(frozen=True)
class BuildSpec:
    """What to build: where to, for which batches, input and precision.

    Attributes:
        directory: existing folder that the engine file is written into.
        batch: batch sizes that the engine must accept.
        image_size: S of the input [batch, 3, S, S].
        plan: the precision of every block; the ONNX file that ``build`` gets follows it already.
        checkpoint: the `.safetensors` file that the graph came from, for runtimes that compile torch.
        flags: for TensorRT's builder.
    """

    directory: Path
    batch: BatchRange
    image_size: int
    plan: PrecisionPlan
    checkpoint: Path
    flags: BuilderFlags = field(default_factory=BuilderFlags)


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


class Runner(Protocol):
    """A loaded engine."""

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """Run on ``{"image": float32 [B, 3, S, S]}``; return logits, region_weights, region_affinity."""
        ...


class Backend(Protocol):
    """The shape of a backend module."""

    def availability(self) -> Available | Unavailable:
        """Say whether this machine can build and run engines of this runtime."""
        ...

    def refusal(self, plan: PrecisionPlan) -> str:
        """Return why this runtime cannot give the plan's precisions on this machine, or ""."""
        ...

    def build(self, onnx_path: Path, spec: BuildSpec) -> EngineFile:
        """Build an engine from the ONNX file (standard operators only, precision in the graph)."""
        ...

    def load(self, engine_file: Path, threads: int) -> Runner:
        """Load an engine file; ``threads`` 0 lets the runtime choose."""
        ...
