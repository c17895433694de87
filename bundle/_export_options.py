"""Options of `export-engine`, as the manifest records them.

They are part of the bundle, so that `doctor` can render the command that builds one of its engines again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from lnlattennet._command import printable
from lnlattennet._validation import first_problem
from lnlattennet.errors import UsageError
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._precision import PRECISIONS
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

AUTO = "auto"
CALIBRATION_METHODS = ("minmax", "percentile", "entropy")
STRATEGIES = ("min-latency", "max-throughput", "latency-budget")
MIN_FACES = 32
"""Minimum number of faces for calibration and for verification."""
MAX_FACES = 100_000
MAX_BATCH = 4096


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One name may stand for itself: its letters would be no names."""

# JSON cannot hold the bytes of a path that are not UTF-8.
_Path = Annotated[Path, PlainSerializer(printable, when_used="json")]


def check_batch(batch: BatchRange, flag: str) -> BatchRange:
    """Return the range; raise UsageError unless 1 <= MIN <= OPT <= MAX <= ``MAX_BATCH``."""
    if not 1 <= batch.minimum <= batch.optimum <= batch.maximum <= MAX_BATCH:
        raise UsageError(
            f"{flag}: batch sizes must satisfy 1 <= MIN <= OPT <= MAX <= {MAX_BATCH}, got {batch}"
        )
    return batch


def check_choice(flag: str, value: str, choices: Sequence[str]) -> None:
    """Raise UsageError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UsageError(f"{flag} must be one of {', '.join(choices)}, got {value!r}")


def _check_count(field: str, count: int) -> None:
    if count < 1:
        raise UsageError(f"{field} must be 1 or more, got {count}")


def _check_faces(flag: str, faces: int) -> None:
    if not MIN_FACES <= faces <= MAX_FACES:
        raise UsageError(f"{flag} must be from {MIN_FACES} to {MAX_FACES}, got {faces}")


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise UsageError(f"{type(self).__name__}: {first_problem(error)}") from error


class CalibrationOptions(_Options):
    """Measurement of the ranges of activations for int8 and fp8.

    Attributes:
        images: folder of face images, or None for rendered faces.
        faces: number of faces.
        method: one of ``CALIBRATION_METHODS``.
    """

    images: _Path | None = None
    faces: int = 256
    method: str = "minmax"

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_choice("--calibration-method", self.method, CALIBRATION_METHODS)
        _check_faces("--calibration-faces", self.faces)
        return self

    def flags(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield (flag, value, default)."""
        yield from _changed(
            self, images="--calibration", faces="--calibration-faces", method="--calibration-method"
        )


class VerificationOptions(_Options):
    """Faces that engines are compared on, and limits of the accuracy gate.

    Attributes:
        faces: number of rendered faces for the accuracy gate.
        data: labeled faces for the accuracy: a data set's path, "synthetic", or None.
        split: of ``data``; None takes test, else val, else all.
        labeled_faces: maximum number of labeled faces, evenly spread over the split.
        limits: changes of the gate's limits by name, such as {"atol": ("logits:1e-3",), "max_kl": 1e-4}.
    """

    faces: int = 256
    data: str | None = None
    split: str | None = None
    labeled_faces: int = 2_100
    limits: Mapping[str, float | _Names] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_faces("--verification-faces", self.faces)
        _check_count("labeled_faces", self.labeled_faces)
        needs_data = {"--split": self.split, "--max-accuracy-drop": self.limits.get("max_accuracy_drop")}
        for flag, value in needs_data.items():
            if self.data is None and value is not None:
                raise UsageError(
                    f"{flag} {value} is about labeled faces; name them: --data PATH, or synthetic"
                )
        return self


class SelectionOptions(_Options):
    """Choice of the engine that serves.

    Attributes:
        strategy: one of ``STRATEGIES``.
        budget_ms: for "latency-budget", milliseconds per call.
        rounds: timed calls of every engine at every batch size.
    """

    strategy: str = "min-latency"
    budget_ms: float | None = None
    rounds: int = 50

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_choice("--strategy", self.strategy, STRATEGIES)
        _check_count("rounds", self.rounds)
        if (self.strategy == "latency-budget") != (self.budget_ms is not None):
            raise UsageError(
                "--latency-budget TIME and --strategy latency-budget belong together, such as "
                "--strategy latency-budget --latency-budget 5ms"
            )
        if self.budget_ms is not None and not 0 < self.budget_ms < math.inf:
            raise UsageError(f"budget_ms must be a positive number of milliseconds, got {self.budget_ms}")
        return self


class ExportOptions(_Options):
    """Options of one export.

    Attributes:
        checkpoint: the file to export.
        output: the bundle's folder.
        batch: batch sizes that every engine accepts.
        backends: names to build, or empty for all that are available.
        precisions: names of ``PRECISIONS``, or "auto": every exact one that a backend has, and int8 where it
            passes, found by search; fp32 if empty.
        plan_file: a precision plan to build instead of whole precisions.
        faces: how faces are made from images for calibration and accuracy: auto, crop or as-is.
        builder: options of TensorRT's builder.
        force: replace an existing bundle.
        allow_pickle: accept a pickled training checkpoint.

    Raises:
        UsageError: a field breaks its rule, or two contradict each other.
    """

    checkpoint: _Path
    output: _Path
    batch: BatchRange = BatchRange()
    backends: _Names = ()
    precisions: _Names = ()
    plan_file: _Path | None = None
    faces: str = "auto"
    calibration: CalibrationOptions = CalibrationOptions()
    verification: VerificationOptions = VerificationOptions()
    selection: SelectionOptions = SelectionOptions()
    builder: TensorRTBuilderConfig = TensorRTBuilderConfig()
    force: bool = False
    allow_pickle: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_batch(self.batch, "--batch")
        if self.precisions and self.plan_file:
            raise UsageError(
                "give either --precision or --precision-plan: a plan says the precision of every block"
            )
        if AUTO in self.precisions and len(self.precisions) > 1:
            raise UsageError(
                "--precision auto already means every exact precision, and int8; name others without it"
            )
        check_choice("--faces", self.faces, ("auto", "crop", "as-is"))
        for name in self.precisions:
            check_choice("--precision", name, (AUTO, *PRECISIONS))
        return self

    @property
    def reads_images(self) -> bool:
        """Whether images are read that ``faces`` is about; rendered faces are crops already."""
        return self.calibration.images is not None or self.verification.data not in (None, SYNTHETIC)

    def command(self) -> list[str]:
        """Return the command line of these options; what has its default is left out."""
        return ["export-engine", *(argument for flag in self._flags() for argument in _arguments(*flag))]

    def _flags(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield (flag, value, default)."""
        yield "--checkpoint", self.checkpoint, None
        yield "--output", self.output, None
        yield "--batch", self.batch, BatchRange()
        yield "--backend", self.backends, ()
        yield "--precision", self.precisions, ()
        yield "--precision-plan", self.plan_file, None
        yield from self.calibration.flags()
        yield from _changed(self.verification, faces="--verification-faces", data="--data", split="--split")
        for name, value in self.verification.limits.items():
            yield f"--{name.replace('_', '-')}", value, None
        yield "--faces", self.faces, "auto"
        yield "--strategy", self.selection.strategy, "min-latency"
        budget = self.selection.budget_ms
        yield "--latency-budget", budget and f"{budget:g}ms", None
        builder = self.builder
        yield "--timing-cache", builder.timing_cache, None
        yield "--builder-optimization-level", builder.optimization_level, None
        yield "--hardware-compatibility-level", builder.hardware_compatibility, "none"
        yield "--version-compatible", builder.version_compatible, False
        yield "--force", self.force, False
        yield "--allow-pickle", self.allow_pickle, False


def _changed(options: _Options, **flags: str) -> Iterator[tuple[str, Any, Any]]:
    for name, flag in flags.items():
        yield flag, getattr(options, name), type(options).model_fields[name].default


def _arguments(flag: str, value: Any, default: Any) -> list[str]:
    if value == default:
        return []
    if value is True:
        return [flag]
    values = value if isinstance(value, tuple) else (value,)
    return [argument for item in values for argument in (flag, printable(str(item)))]
