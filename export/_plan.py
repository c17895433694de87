"""Plan of an export: everything that can be checked before anything is built, and the engines to build."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._export_options import AUTO, ExportOptions
from lnlattennet.bundle._manifest import SkippedEngine
from lnlattennet.data._face_images import read_faces
from lnlattennet.data._labeled import LabeledSource, open_labeled
from lnlattennet.data._records import FacesOption
from lnlattennet.errors import UnavailableError, UsageError
from lnlattennet.export._bundle_writer import check_output
from lnlattennet.export.gate._check import batch_sizes
from lnlattennet.export.gate._limits import parse_limits
from lnlattennet.model._checkpoint import Checkpoint, load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import Available, Backend
from lnlattennet.runtimes._precision import QUANTIZED, PrecisionPlan, read_plan, uniform_plan
from lnlattennet.runtimes._registry import BACKENDS, backend_named
from lnlattennet.runtimes.tensorrt._backend import INFO as TENSORRT
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

_EXACT = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Job:
    """One engine to build.

    Attributes:
        plan: the precision of every block; with ``search``, the goal of the search.
        search: whether fewer blocks in the fast precision are tried if the whole plan fails.
    """

    backend: str
    available: Available
    plan: PrecisionPlan
    search: bool = False

    @property
    def name(self) -> str:
        """Name of the engine."""
        return f"{self.backend}-{self.plan.precision}"

    @property
    def quantized(self) -> bool:
        """Whether it needs calibration."""
        return bool(self.plan.precisions & set(QUANTIZED))

    @property
    def fallbacks(self) -> list[str]:
        """What a search gives the blocks that it does not quantize, in the order that it tries them."""
        return sorted((self.plan.precisions | {"fp32"}) - set(QUANTIZED))


@dataclass(frozen=True)
class ExportPlan:
    """An export whose input was checked.

    Attributes:
        checkpoint_sha256: hash of the file before it was read.
        jobs: engines to build.
        skipped: engines that cannot be built here, with reasons.
        labeled: labeled faces to measure the accuracy on, or None.
        calibration_faces: the user's faces to calibrate with, normalized float32 [n, 3, S, S]; None takes
            rendered ones where a job needs calibration.
    """

    options: ExportOptions
    checkpoint: Checkpoint
    checkpoint_sha256: str
    jobs: list[Job]
    skipped: list[SkippedEngine]
    labeled: LabeledSource | None
    calibration_faces: NDArray[np.float32] | None

    def to_json(self) -> dict[str, Any]:
        """Return the document of a dry run, as plain JSON values."""
        return {
            "checkpoint": str(self.options.checkpoint),
            "output": str(self.options.output),
            "class_names": list(self.checkpoint.info.class_names),
            "batch": str(self.options.batch),
            "verified_batches": batch_sizes(self.options.batch),
            "build": [
                {
                    "engine": job.name,
                    "backend": job.backend,
                    "plan": dict(job.plan.blocks),
                    "search": job.search,
                    "versions": job.available.versions,
                    "cannot_run": job.available.run_blocker or "",
                }
                for job in self.jobs
            ],
            "skipped": [engine.model_dump() for engine in self.skipped],
        }


def plan_export(options: ExportOptions) -> ExportPlan:
    """Check everything that can be checked without building.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UnavailableError, UsageError, DataError, ImageError: the options cannot be met.
        BundleError: the output exists or cannot be written.
    """
    parse_limits("fp32", options.verification.limits)
    check_output(options.output, force=options.force)
    # Before the file is read: one that is written anew in between has another hash in the end.
    sha256 = _hash(options.checkpoint)
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    jobs, skipped = plan_jobs(options, checkpoint.info.config)
    verification, images = options.verification, options.calibration.images
    labeled, calibration_faces = None, None
    if verification.data is not None:
        labeled = open_labeled(
            verification.data,
            verification.split,
            verification.labeled_faces,
            checkpoint.info.class_names,
            cast(FacesOption, options.faces),
        )
    # Without jobs in int8 or fp8 the option was refused already.
    if images is not None:
        calibration_faces = read_faces(
            images, checkpoint.info.preprocessing, options.calibration.faces, cast(FacesOption, options.faces)
        )
    return ExportPlan(options, checkpoint, sha256, jobs, skipped, labeled, calibration_faces)


def _hash(checkpoint: Path) -> str:
    """Return the SHA-256 of a file; "" where it cannot be read, which ``load_checkpoint`` explains."""
    try:
        return hash_file(checkpoint).sha256 if checkpoint.is_file() else ""
    except OSError:
        return ""


def choose_backends(names: tuple[str, ...]) -> tuple[dict[str, Available], list[SkippedEngine]]:
    """Return the backends to build with, and those that are skipped with the reason.

    A backend that was asked for by name must be available; without names, all that are available are used.

    Raises:
        UnavailableError: a named backend is missing.
        UsageError: a name is unknown.
    """
    usable: dict[str, Available] = {}
    skipped: list[SkippedEngine] = []
    for name in dict.fromkeys(names or BACKENDS):
        availability = backend_named(name).availability()
        if isinstance(availability, Available):
            usable[name] = availability
        elif names:
            raise UnavailableError(f"--backend {name}: {availability.reason}")
        else:
            skipped.append(SkippedEngine(backend=name, reason=availability.reason))
    return usable, skipped


def plan_jobs(options: ExportOptions, config: NetworkConfig) -> tuple[list[Job], list[SkippedEngine]]:
    """Return what to build, and what cannot be built here with the reason.

    Raises:
        UnavailableError: a backend that was asked for by name is missing, or lacks a precision that was asked
            for by name; or nothing at all can be built.
        UsageError: an unknown backend, a precision plan that breaks a rule, an option that no engine of this
            export would use, or a timing cache that is a folder.
    """
    usable, skipped = choose_backends(options.backends)
    jobs: list[Job] = []
    for name, available in usable.items():
        backend = backend_named(name)
        for plan, search in _plans(options, config, backend):
            reason = backend.unsupported_reason(plan)
            if not reason:
                jobs.append(Job(name, available, plan, search))
            elif options.backends and AUTO not in options.precisions:
                flag = options.plan_file and f"--precision-plan {options.plan_file}"
                flag = flag or f"--precision {plan.precision}"
                raise UnavailableError(f"--backend {name} cannot give {flag}: {reason}")
            else:
                skipped.append(SkippedEngine(backend=name, precision=plan.precision, reason=reason))
    if not jobs:
        reasons = "; ".join(f"{item.backend} {item.precision}: {item.reason}" for item in skipped)
        raise UnavailableError(f"no backend here can build such an engine: {reasons}")
    _require_effect(options, jobs)
    cache = options.builder.timing_cache
    if cache is not None and cache.is_dir():
        raise UsageError(f"--timing-cache {cache} is a folder; name a file")
    return jobs, skipped


def _plans(
    options: ExportOptions, config: NetworkConfig, backend: Backend
) -> Iterator[tuple[PrecisionPlan, bool]]:
    if options.plan_file:
        yield read_plan(options.plan_file, config), False
    elif AUTO in options.precisions:
        for precision in _EXACT:
            yield uniform_plan(precision, config), False
        yield _plan("int8", config, backend), True
    else:
        for precision in dict.fromkeys(options.precisions or ("fp32",)):
            yield _plan(precision, config, backend), False


def _plan(precision: str, config: NetworkConfig, backend: Backend) -> PrecisionPlan:
    """Return the plan of one precision; blocks outside int8 and fp8 get bf16 where the backend has it."""
    plan = uniform_plan(precision, config, rest="bf16")
    return uniform_plan(precision, config) if backend.unsupported_reason(plan) else plan


def _require_effect(options: ExportOptions, jobs: list[Job]) -> None:
    """Raise UsageError for an option without effect, which would otherwise go unnoticed."""
    calibration = [
        f"{flag} {value}" for flag, value, default in options.calibration.flags() if value != default
    ]
    if calibration and not any(job.quantized for job in jobs):
        raise UsageError(
            f"{', '.join(calibration)}: calibration is for int8 and fp8, which no engine of this export has; "
            "add --precision int8, or leave it out"
        )
    if options.faces != "auto" and not options.reads_images:
        raise UsageError(
            f"--faces {options.faces} is for images of --calibration and --data: rendered faces are crops "
            "already; name images, or leave it out"
        )
    if options.builder != TensorRTBuilderConfig() and all(job.backend != TENSORRT.name for job in jobs):
        flags = ", ".join(TENSORRT.builder_flags)
        raise UsageError(
            f"{flags} are for TensorRT's builder, and this export builds nothing with it; "
            f"add --backend {TENSORRT.name}, or leave them out"
        )
