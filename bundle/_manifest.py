"""`manifest.json`: what a bundle holds, for whom it was built, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lnlattennet.errors import BundleError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._requirements import Requirements

SCHEMA_VERSION: Literal[2] = 2
MANIFEST_NAME = "manifest.json"
RENDERED = "rendered"
"""Source of faces that this project drew itself, for verification or calibration."""
_MAX_BYTES = 4 * 2**20


class _Strict(BaseModel):
    # An engine that was left out may have answered NaN, which JSON has no number for.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FileRecord(_Strict):
    """One file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Check(_Strict):
    """One comparison of an engine with the checkpoint in torch.

    Attributes:
        metric: what is compared: "max_abs" (largest difference of an element), "cosine" (smallest over the
            samples), "kl" (mean over the samples, nats), "top1_agreement", "top3_overlap" (shares), "sum"
            (largest distance of a sum from 1), "permutation" (largest change of a sample's answer when its
            neighbours change), "accuracy_drop" (share of labelled faces); and, only where an output does not
            have the form that it must have, "missing", "dtype", "shape", "finite" (how many answers).
        output: name of the engine's output.
        value: what was found at its worst.
        limit: what it may be: at least for "cosine", "top1_agreement" and "top3_overlap", else at most;
            None if nothing is required and the value only reported.
        passed: whether it is within the limit.
        batch: batch size at which the worst was found, if the metric has one.
        sample: index of the worst verification face, if the metric has one.
        region: row-major index of the region that differs most there, for outputs about regions.
    """

    metric: str
    output: str
    value: float
    limit: float | None
    passed: bool
    batch: int | None = None
    sample: int | None = None
    region: int | None = None


class Latency(_Strict):
    """Milliseconds per call at one batch size; low and high bound the median (95% bootstrap interval)."""

    batch: int
    threads: int
    median_ms: float
    low_ms: float
    high_ms: float
    p90_ms: float
    samples: int


class EngineRecord(_Strict):
    """One engine: what it is, what it needs, and whether it passed.

    Attributes:
        plan: block of the network -> precision (``PrecisionPlan.blocks``).
        versions: package -> version it was built with.
        layers: precision -> how many convolutions and matrix products really run in it, read back from the
            runtime; empty where that could not be read.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    backend: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    precision: str
    plan: dict[str, str]
    file: str
    batch: tuple[int, int, int]
    versions: dict[str, str]
    requires: Requirements
    status: Literal["passed", "built, not run"]
    reason: str = ""
    layers: dict[str, int] = {}
    checks: list[Check] = []
    latency: list[Latency] = []
    build_seconds: float = 0.0


class LeftOut(_Strict):
    """What was asked for and is not in the bundle, and why; ``precision`` is "" for a whole backend."""

    backend: str
    precision: str = ""
    reason: str
    checks: list[Check] = []


class Manifest(_Strict):
    """The whole of `manifest.json`.

    Attributes:
        files: path inside the bundle -> record, for every file except the manifest itself.
        checkpoint_sha256: of the checkpoint that everything was compared with.
        network: the network's configuration (``NetworkConfig.to_dict``).
        left_out: what is not in the bundle, with reasons.
        verification: how engines were judged: faces, calibration, accuracy, strategy, time and memory.
        selected: name of the engine that serves.
        selected_because: the sentence that justifies the choice.
    """

    schema_version: Literal[2]
    created: str
    command: list[str]
    toolkit_version: str
    checkpoint_sha256: str
    provenance: dict[str, Any]
    class_names: list[str] = Field(min_length=2)
    preprocessing: Preprocessing
    network: dict[str, Any]
    engines: list[EngineRecord]
    left_out: list[LeftOut]
    verification: dict[str, Any]
    selected: str
    selected_because: str
    files: dict[str, FileRecord]

    @property
    def grid(self) -> int:
        """Face regions per side."""
        return NetworkConfig.from_dict(self.network).grid

    def engine(self, name: str) -> EngineRecord:
        """Return the engine called ``name``; raise BundleError with the known names otherwise."""
        for engine in self.engines:
            if engine.name == name:
                return engine
        raise BundleError(
            f"the bundle has no engine {name!r}; it has: {', '.join(e.name for e in self.engines)}"
        )


def read_manifest(bundle: Path) -> Manifest:
    """Read and validate ``bundle/manifest.json``; raise BundleError if it is missing or breaks the schema."""
    path = bundle / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{bundle} is not a bundle: it has no {MANIFEST_NAME}; make one with export-engine")
    if path.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{path} is larger than {_MAX_BYTES} bytes: not a manifest of this toolkit")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(
            f"{path} breaks the manifest's schema version {SCHEMA_VERSION} at {where}: {first['msg']}; "
            "export the bundle again with this version of export-engine"
        ) from error
