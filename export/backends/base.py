"""What every backend module offers; a new runtime is one more module with these names.

A backend ``NAME`` is a module ``export/backends/NAME.py`` with

    availability() -> Available | Unavailable       can this machine build / run its engines?
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


@dataclass(frozen=True)
class BuildSpec:
    """What to build: where to, for which batches and for which input.

    Attributes:
        directory: existing folder that the engine file is written into.
        batch: batch sizes that the engine must accept.
        image_size: S of the input [batch, 3, S, S].
    """

    directory: Path
    batch: BatchRange
    image_size: int


@dataclass(frozen=True)
class EngineFile:
    """An engine on disk.

    Attributes:
        path: the file that the backend's ``load`` takes.
        built_for: what the engine demands of the machine that runs it (for the manifest).
    """

    path: Path
    built_for: dict[str, str] = field(default_factory=dict)


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

    def build(self, onnx_path: Path, spec: BuildSpec) -> EngineFile:
        """Build an engine from the ONNX file."""
        ...

    def load(self, engine_file: Path, threads: int) -> Runner:
        """Load an engine file; ``threads`` 0 lets the runtime choose."""
        ...
