"""What every backend module offers; a new runtime is one more module with these names.

A backend ``NAME`` is a module ``runtimes/NAME.py`` with

    availability() -> Available | Unavailable       can this machine build / run its engines?
    unsupported_reason(plan) -> str | None          why it cannot give the plan's precisions, if it cannot
    build(onnx_path, spec) -> EngineFile            write an engine file into ``spec.directory``
    load(engine_file, threads) -> Runner            make it callable

and ``Runner(inputs) -> outputs``, both dicts of named numpy arrays. Runners are independent of their
neighbours in a batch and take any batch size within the engine's range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements

if TYPE_CHECKING:
    from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

Arrays = dict[str, NDArray[np.float32]]


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
    """What to build: where to, for which batches, input and precision.

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

    def unsupported_reason(self, plan: PrecisionPlan) -> str | None:
        """Return why this runtime cannot give the plan's precisions on this machine; None if it can."""
        ...

    def build(self, onnx_path: Path, spec: BuildSpec) -> EngineFile:
        """Build an engine from the ONNX file (standard operators only, precision in the graph)."""
        ...

    def load(self, engine_file: Path, threads: int) -> Runner:
        """Load an engine file; ``threads`` 0 lets the runtime choose."""
        ...
