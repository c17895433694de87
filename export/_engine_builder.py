"""Build of one engine: its graph in the plan's precisions, its file, and its verification."""

from __future__ import annotations

import functools
import logging
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from lnlattennet._command import printable
from lnlattennet._console import status
from lnlattennet.bundle._manifest import (
    RENDERED,
    CalibrationRecord,
    Check,
    EngineRecord,
    VerificationRecord,
)
from lnlattennet.data._face_images import calibration_faces
from lnlattennet.errors import ExportError
from lnlattennet.export._candidate import Candidate
from lnlattennet.export._plan import ExportPlan, Job
from lnlattennet.export._symmetric_int8 import write_symmetric_int8
from lnlattennet.export.gate._limits import failure_text, flags_text, parse_limits
from lnlattennet.export.gate._verification import Verifier, create_verifier
from lnlattennet.export.onnx._channels_last import channels_last
from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.export.precision._apply import apply_plan, planned_layers
from lnlattennet.export.precision._calibration import Ranges, activation_ranges
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._checkpoint import save_checkpoint
from lnlattennet.runtimes._base import BuildSpec, EngineFile
from lnlattennet.runtimes._errors import translate_runtime_errors
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._registry import backend_named

ONNX_NAME = "model.onnx"
"""The network in standard operators only, which every runtime and tool reads."""

FUNCTION_ONNX_NAME = "model-function.onnx"
"""The same with the fused attention as one named function."""

_log = logging.getLogger(__name__)


class RejectedError(ExportError):
    """Engine that was built and must not be published; ``checks`` are its checks, if it ran."""

    def __init__(self, reason: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(reason)
        self.checks = list(checks)


@dataclass(frozen=True)
class EngineBuilder:
    """Builder and verifier of an export's engines.

    Attributes:
        folder: the bundle's draft.
        plan: the export's plan.
        checkpoint: the `.safetensors` file.
        standard: the network in fp32, standard operators only.
        calibration: faces, their source and the method; None if nothing is quantized.
        ranges: tensor -> (lowest, highest) activation, empty if nothing is quantized.
    """

    folder: Path
    plan: ExportPlan
    checkpoint: Path
    standard: onnx.ModelProto
    calibration: CalibrationRecord | None
    ranges: Ranges
    verifier: Verifier

    def build(self, job: Job, plan: PrecisionPlan) -> Candidate:
        """Build the job's engine in a plan, read back its precisions, load it and put it through the gate.

        Removes what was built under its name before.

        Raises:
            ExportError: the runtime refused.
            RejectedError: it computes in another precision than was asked for, or an output is too far from
                the checkpoint's.
        """
        self.discard(job.name)
        try:
            candidate = self._build(job, plan)
            self._verify(candidate, job.plan.precision)
        except BaseException:
            self.discard(job.name)
            raise
        return candidate

    def discard(self, name: str) -> None:
        """Remove an engine's files."""
        shutil.rmtree(self._engine_folder(name), ignore_errors=True)

    def write_symmetric_int8(self, candidates: Sequence[Candidate]) -> None:
        """Write the int8 network for tools on machines with a GPU, if there is an int8 engine."""
        limits = self.plan.options.verification.limits
        write_symmetric_int8(self.folder, self.standard, self.ranges, candidates, self.verifier, limits)

    def verification_record(self, candidates: list[Candidate], seconds: float) -> VerificationRecord:
        """Return the manifest's record of the verification and the selection."""
        return VerificationRecord(
            faces=len(self.verifier.faces),
            faces_source=RENDERED,
            threads=usable_cpus(),
            labeled=self.verifier.labeled_record(),
            calibration=self.calibration,
            planned_layers={candidate.name: candidate.planned for candidate in candidates},
            plans_tried={c.name: c.plans_tried for c in candidates if c.plans_tried > 1},
            strategy=self.plan.options.selection.strategy,
            latency_budget_ms=self.plan.options.selection.budget_ms,
            seconds=round(seconds, 1),
            # Of this process only: Linux counts its peak in its children's too.
            peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        )

    def _build(self, job: Job, plan: PrecisionPlan) -> Candidate:
        options = self.plan.options
        planned = planned_layers(self._network(job.backend), plan)
        directory = self._engine_folder(job.name)
        directory.mkdir(parents=True)
        size = self.plan.checkpoint.info.config.image_size
        spec = BuildSpec(directory, options.batch, size, plan, self.checkpoint, options.builder)
        start = time.perf_counter()
        with status(f"building {job.name}"), translate_runtime_errors(job.name, "build", ExportError):
            graph = self._graph(job.backend, plan, directory)
            engine = backend_named(job.backend).build(graph, spec)
        seconds = time.perf_counter() - start
        if engine.path != graph and graph.parent == directory:
            graph.unlink()
        if not any(directory.iterdir()):
            directory.rmdir()
        require_precision(plan, planned, engine)
        _log.info("built %s in %.1f s", job.name, seconds)
        record = EngineRecord(
            name=job.name,
            backend=job.backend,
            precision=plan.precision,
            plan=dict(plan.blocks),
            file=engine.path.relative_to(self.folder).as_posix(),
            batch=(options.batch.minimum, options.batch.optimum, options.batch.maximum),
            versions=job.available.versions,
            requires=engine.requires,
            status="built, not run",
            reason=job.available.run_blocker or "",
            layers=dict(engine.layers),
            build_seconds=round(seconds, 3),
        )
        return Candidate(record, engine.path, planned)

    def _graph(self, backend: str, plan: PrecisionPlan, directory: Path) -> Path:
        """Write the plan's graph; the network itself in fp32 is in the bundle already."""
        network = self._network(backend)
        if network is self.standard and plan.precisions == {"fp32"}:
            return self.folder / ONNX_NAME
        path = directory / ONNX_NAME
        symmetric = backend_named(backend).INFO.symmetric_int8
        onnx.save_model(apply_plan(network, plan, self.ranges, symmetric=symmetric), str(path))
        return path

    def _network(self, backend: str) -> onnx.ModelProto:
        return self._channels_last if backend_named(backend).INFO.channels_last else self.standard

    @functools.cached_property
    def _channels_last(self) -> onnx.ModelProto:
        try:
            return channels_last(self.standard)
        except Exception as error:
            # Another release of torch may write a graph of another structure, and rewriting one trips in many
            # ways. The standard graph is right for every runtime.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _log.warning("%s cannot be rearranged (%s): OpenVINO takes it as it is", ONNX_NAME, reason)
            return self.standard

    def _verify(self, candidate: Candidate, precision: str) -> None:
        """Put an engine through the gate with the limits of ``precision``, the one that the job is for."""
        record = candidate.record
        if record.reason:
            _log.warning("%s: built, not run: %s", record.name, record.reason)
            return
        with translate_runtime_errors(record.name, "load", ExportError):
            runner = backend_named(record.backend).load(candidate.path, usable_cpus())
        with (
            status(f"verifying {record.name}"),
            translate_runtime_errors(record.name, "run", ExportError),
        ):
            limits = parse_limits(precision, self.plan.options.verification.limits)
            checks = self.verifier.check(record.name, runner, limits)
        if not all(check.passed for check in checks):
            raise RejectedError(failure_text(checks) + flags_text(checks), checks)
        candidate.record = record.model_copy(update={"checks": checks, "status": "passed"})
        _log.info("%s: passed the gate", record.name)

    def _engine_folder(self, name: str) -> Path:
        return self.folder / "engines" / name


def prepare_build(plan: ExportPlan, folder: Path, scratch: Path) -> EngineBuilder:
    """Export the ONNX graphs, calibrate if a job needs it, and create the verifier.

    Args:
        plan: plan of the export.
        folder: the bundle's draft; both forms of the ONNX file are written into it.
        scratch: folder of files that must not be in the bundle.
    """
    options, checkpoint = plan.options, plan.checkpoint
    verifier = create_verifier(checkpoint, options.verification.faces, options.batch, plan.labeled)
    with status("exporting ONNX"):
        export_onnx(checkpoint, folder / FUNCTION_ONNX_NAME, options.batch)
        standard = inlined(onnx.load_model(str(folder / FUNCTION_ONNX_NAME)))
        onnx.save_model(standard, str(folder / ONNX_NAME))
    calibration, ranges = _calibrate(plan, standard)
    return EngineBuilder(
        folder, plan, _as_safetensors(plan, scratch), standard, calibration, ranges, verifier
    )


def _calibrate(plan: ExportPlan, standard: onnx.ModelProto) -> tuple[CalibrationRecord | None, Ranges]:
    if not any(job.quantized for job in plan.jobs):
        return None, {}
    options, faces = plan.options.calibration, plan.calibration_faces
    if faces is None:
        _log.warning("no --calibration images: int8 and fp8 are calibrated on rendered faces")
        faces = calibration_faces(options.faces, plan.checkpoint.info.preprocessing)
    source = printable(options.images) if options.images else RENDERED
    with status("calibrating"):
        ranges = activation_ranges(standard, faces, options.method)
    return CalibrationRecord(faces=len(faces), source=source, method=options.method), ranges


def _as_safetensors(plan: ExportPlan, scratch: Path) -> Path:
    """Return a file that holds no code, which torch's engines are built from; a pickle is converted."""
    if not plan.options.allow_pickle:
        return plan.options.checkpoint
    path = scratch / "checkpoint.safetensors"
    save_checkpoint(path, plan.checkpoint.network(), plan.checkpoint.info)
    return path


def require_precision(plan: PrecisionPlan, planned: dict[str, int], engine: EngineFile) -> None:
    """Refuse an engine that silently computes in another precision than was asked for."""
    if not engine.layers:
        return
    for wanted in sorted(plan.precisions - {"fp32"}):
        expected = planned.get(wanted, 0)
        if engine.layers.get(wanted, 0) < max(expected, wanted == plan.precision):
            raise RejectedError(
                f"{_shortfall(plan, wanted, expected, engine)}, so it is not the engine that was asked for; "
                f"use {wanted} in more blocks, or with another backend"
            )


def _shortfall(plan: PrecisionPlan, wanted: str, expected: int, engine: EngineFile) -> str:
    layers = ", ".join(f"{count} in {precision}" for precision, count in engine.layers.items())
    if expected:
        return f"of {expected} layers that any runtime can run in {wanted}, this one runs {layers}"
    blocks = ", ".join(block for block, precision in plan.blocks.items() if precision == wanted)
    return f"the graph for this runtime has no layer in {blocks} that runs in {wanted}: it runs {layers}"
