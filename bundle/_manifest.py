"""Schema of `manifest.json`: the files of a bundle, its engines, their requirements and measurements."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lnlattennet._validation import first_problem
from lnlattennet.bundle._export_options import ExportOptions, check_batch
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import BundleError, LnlAttenNetError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._requirements import Requirements

SCHEMA_VERSION: Literal[3] = 3
RENDERED = "rendered"
"""Source of the faces that this project renders, for verification or calibration."""
_MAX_BYTES = 4 * 2**20


class _Strict(BaseModel):
    # A skipped engine may have answered NaN, which JSON has no number for.
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
            (largest distance of a sum from 1), "permutation" (largest change of a sample's output when its
            batch neighbors change), "accuracy_drop" (share of labeled faces); and, only where they fail,
            "missing", "dtype", "shape", "finite", "negative" (how many samples have an output of that wrong
            form) and "constant" (largest difference of a logit, which is over half of a constant answer's).
        output: name of the engine's output.
        value: the worst value that was measured.
        limit: smallest value allowed for "cosine", "top1_agreement" and "top3_overlap", else the largest;
            None if the value is only reported.
        passed: whether it is within the limit.
        batch: batch size of the worst value, if the metric has one.
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
    median_ms: float = Field(gt=0)
    low_ms: float
    high_ms: float
    p90_ms: float
    samples: int


class EngineRecord(_Strict):
    """One engine: identity, requirements, and results of its verification.

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


class SkippedEngine(_Strict):
    """An engine that was asked for and is not in the bundle; ``precision`` is "" for a whole backend."""

    backend: str
    precision: str = ""
    reason: str
    checks: list[Check] = []

    @property
    def name(self) -> str:
        """BACKEND-PRECISION, or the backend alone."""
        return f"{self.backend}-{self.precision}" if self.precision else self.backend


Interval = tuple[float, float, float]
"""An estimate with the ends of its 95% bootstrap interval: value, low, high."""


class LabeledRecord(_Strict):
    """Accuracies on labeled faces: the checkpoint's and, by name, every engine's."""

    name: str
    faces: int
    checkpoint_accuracy: Interval
    engines: dict[str, Interval]


class CalibrationRecord(_Strict):
    """Faces that the ranges for int8 and fp8 were measured on; ``source`` is a folder or ``RENDERED``."""

    faces: int
    source: str
    method: str


class VerificationRecord(_Strict):
    """Conditions of the verification and the selection; an unknown one has its default.

    Attributes:
        faces: number of faces that the engines were compared on.
        faces_source: source of those faces: ``RENDERED``.
        threads: threads of every engine.
        labeled: accuracies, if labeled faces were given.
        calibration: faces that int8 and fp8 were calibrated on.
        planned_layers: engine -> precision -> layers that its plan puts in it.
        plans_tried: engine -> plans that a search tried until it found the engine's.
        strategy: rule by which the engine that serves was chosen.
        latency_budget_ms: milliseconds per call that the strategy allowed.
        seconds: duration of the whole export.
        peak_memory_mb: peak memory of the exporting process in megabytes.
    """

    faces: int = 0
    faces_source: str = ""
    threads: int = 0
    labeled: LabeledRecord | None = None
    calibration: CalibrationRecord | None = None
    planned_layers: dict[str, dict[str, int]] = {}
    plans_tried: dict[str, int] = {}
    strategy: str = ""
    latency_budget_ms: float | None = None
    seconds: float = 0.0
    peak_memory_mb: float = 0.0


class Manifest(_Strict):
    """The whole of `manifest.json`.

    Attributes:
        files: path inside the bundle -> record, for every file except the manifest itself.
        checkpoint_sha256: SHA-256 of the checkpoint that the engines were compared with.
        network: the network's configuration (``NetworkConfig.to_dict``).
        options: options of the export; ``options.command()`` is the command line.
        license: note on the license of the training data; "" if the checkpoint, or an older export, had none.
        skipped: engines that are not in the bundle, with reasons.
        selected: name of the engine that serves.
        selected_because: the sentence that justifies the choice.
    """

    schema_version: Literal[3]
    created: str
    options: ExportOptions
    toolkit_version: str
    checkpoint_sha256: str
    provenance: dict[str, Any]
    license: str = ""
    class_names: list[str] = Field(min_length=2)
    preprocessing: Preprocessing
    network: dict[str, Any]
    engines: list[EngineRecord]
    skipped: list[SkippedEngine]
    verification: VerificationRecord
    selected: str
    selected_because: str
    files: dict[str, FileRecord]

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse what would end in a wrong answer: a lost class or engine, an impossible network or batch."""
        for what, names in (
            ("class names", self.class_names),
            ("names of engines", [engine.name for engine in self.engines]),
        ):
            if len(set(names)) < len(names):
                raise BundleError(f"{what} must differ, got {', '.join(map(repr, names))}")
        NetworkConfig.from_dict(self.network)
        for engine in self.engines:
            check_batch(BatchRange(*engine.batch), f"batch of engine {engine.name}")
        return self

    @property
    def grid(self) -> int:
        """Face regions per side."""
        return NetworkConfig.from_dict(self.network).grid

    def engine_bytes(self, engine: EngineRecord) -> int:
        """Return the size of an engine's file and of those of the same name, such as OpenVINO's weights."""
        return sum(record.size for record in self._engine_files(engine))

    def model_hash(self, name: str) -> str:
        """Return the hash of an engine: SHA-256 of its file, or of the digests of its several files."""
        digests = [record.sha256 for record in self._engine_files(self.engine(name))]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def _engine_files(self, engine: EngineRecord) -> list[FileRecord]:
        stem = PurePosixPath(engine.file).with_suffix("")
        names = sorted(name for name in self.files if PurePosixPath(name).with_suffix("") == stem)
        return [self.files[name] for name in names]

    def report(self) -> dict[str, Any]:
        """Return the manifest without hashes and with the export's command, as plain JSON values.

        A number that is not finite, which JSON lacks, is the text "Infinity", "-Infinity" or "NaN".
        """
        document: dict[str, Any] = json.loads(self.model_dump_json(exclude={"files"}))
        skipped = [
            entry | {"name": engine.name}
            for entry, engine in zip(document["skipped"], self.skipped, strict=True)
        ]
        return document | {"command": self.options.command(), "skipped": skipped}

    def engine(self, name: str | None = None) -> EngineRecord:
        """Return the engine called ``name``, or the selected one; raise BundleError if there is none."""
        wanted = self.selected if name is None else name
        for engine in self.engines:
            if engine.name == wanted:
                return engine
        raise BundleError(
            f"the bundle has no engine {wanted!r}; it has: {', '.join(e.name for e in self.engines)}"
        )


def read_manifest(bundle: Path | str) -> Manifest:
    """Read and validate ``bundle/manifest.json``; raise BundleError if it is missing or breaks the schema."""
    path = Path(bundle) / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{bundle} is not a bundle: {_reason(path.parent)}")
    if path.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{path} is larger than {_MAX_BYTES} bytes: not a manifest of this toolkit")
    content = path.read_bytes()
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        _require_version(path, content)
        raise BundleError(
            f"{path} breaks the manifest's schema version {SCHEMA_VERSION}: {first_problem(error)}; "
            "export the bundle again with this version of export-engine"
        ) from error
    except LnlAttenNetError as error:
        raise BundleError(
            f"{path} holds a value that this version refuses: {error}; export the bundle again"
        ) from error


def _require_version(path: Path, content: bytes) -> None:
    """Raise BundleError if the manifest's schema has another version, whatever else is wrong with it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or version == SCHEMA_VERSION:
        return
    writer = document.get("toolkit_version")
    advice = (
        f"update lnlattennet: version {writer} wrote it"
        if version > SCHEMA_VERSION
        else "export the bundle again with this version of export-engine"
    )
    raise BundleError(
        f"{path} has the manifest's schema version {version}, this version reads {SCHEMA_VERSION}; {advice}"
    )


def _reason(bundle: Path) -> str:
    if bundle.is_dir():
        near = [folder for folder in (bundle.parent, *sorted(bundle.iterdir())) if _has_manifest(folder)]
        return f"it has no {MANIFEST_NAME}; " + (
            f"the bundle is {near[0]}" if near else "make one with export-engine"
        )
    if not bundle.exists():
        return "there is no such folder; make one with export-engine"
    if _has_manifest(bundle.parent):
        return f"it is a file of one; the bundle is {bundle.parent}"
    return f"it is a file; if it is a checkpoint, export it first: export-engine -c {bundle} -o FOLDER"


def _has_manifest(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()
