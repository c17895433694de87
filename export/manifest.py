"""`manifest.json`: what a bundle holds, for whom it was built, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lnlattennet.errors import BundleError
from lnlattennet.model.config import NetworkConfig
from lnlattennet.model.preprocessing import Preprocessing

SCHEMA_VERSION: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
_MAX_BYTES = 4 * 2**20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Strict):
    """One file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class OutputCheck(_Strict):
    """How far one output of an engine lies from the checkpoint in torch, at the worst batch and sample."""

    max_abs: float
    atol: float
    rtol: float
    batch: int
    sample: int
    passed: bool


class Latency(_Strict):
    """Milliseconds per call at one batch size, measured in one interleaved run."""

    batch: int
    threads: int
    median_ms: float
    p90_ms: float
    samples: int


class EngineRecord(_Strict):
    """One engine: what it is, what it needs, and whether it passed."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    backend: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    precision: str
    file: str
    batch: tuple[int, int, int]
    versions: dict[str, str]
    built_for: dict[str, str]
    status: Literal["passed", "built, not run"]
    reason: str = ""
    checks: dict[str, OutputCheck] = {}
    latency: list[Latency] = []


class Skipped(_Strict):
    """A backend that gave no engine, and why."""

    backend: str
    reason: str


class Manifest(_Strict):
    """The whole of `manifest.json`.

    Attributes:
        files: path inside the bundle -> record, for every file except the manifest itself.
        checkpoint_sha256: of the checkpoint that everything was compared with.
        network: the network's configuration (``NetworkConfig.to_dict``).
        selected: name of the engine that serves.
        selected_because: the sentence that justifies the choice.
    """

    schema_version: Literal[1]
    created: str
    command: list[str]
    toolkit_version: str
    checkpoint_sha256: str
    provenance: dict[str, Any]
    class_names: list[str] = Field(min_length=2)
    preprocessing: Preprocessing
    network: dict[str, Any]
    engines: list[EngineRecord]
    skipped: list[Skipped]
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
