"""Makes one engine: its variant of the graph, its build, what it really runs in, its way through the gate."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from lnlattennet._console import stderr
from lnlattennet.bundle._manifest import Check, EngineRecord
from lnlattennet.errors import ExportError
from lnlattennet.export.gate._limits import failure_text, parse_limits
from lnlattennet.export.gate._verification import Verification
from lnlattennet.export.precision._apply import apply_plan, planned_layers
from lnlattennet.export.precision._calibration import Ranges
from lnlattennet.export.selection._timing import usable_threads
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import Available, BatchRange, BuildSpec, EngineFile
from lnlattennet.runtimes._errors import translate_runtime_errors
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

STANDARD_ONNX = "model-standard.onnx"
"""The network in standard operators only; `model.onnx` holds the fused attention as one named function."""

_log = logging.getLogger(__name__)


class RejectedError(ExportError):
    """An engine that was built and must not be published; ``checks`` says where it is wrong, if it ran."""

    def __init__(self, reason: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(reason)
        self.checks = list(checks)


@dataclass
class Candidate:
    """An engine that was built.

    Attributes:
        record: what the manifest will say, without latency.
        path: the file that its backend loads.
        planned: precision -> layers that the plan puts in it.
        tries: how many plans a search tried until it found this one; 1 without a search.
        samples: batch size -> every timed call in milliseconds.
    """

    record: EngineRecord
    path: Path
    planned: dict[str, int]
    tries: int = 1
    samples: dict[int, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Workshop:
    """Everything that engines are built from and judged by.

    Attributes:
        folder: the bundle's draft.
        standard: the network in fp32, standard operators only.
        ranges: tensor -> (lowest, highest) activation, empty if nothing is to be quantised.
        calibration: what the manifest says of how they were found, or None.
        checkpoint: the `.safetensors` file.
        config: the network's.
        batch: batch sizes that every engine accepts.
        builder_config: options of TensorRT's builder.
        limits: what the user changed of the gate's limits.
    """

    folder: Path
    standard: onnx.ModelProto
    ranges: Ranges
    calibration: dict[str, Any] | None
    checkpoint: Path
    config: NetworkConfig
    batch: BatchRange
    builder_config: TensorRTBuilderConfig
    verification: Verification
    limits: Mapping[str, Sequence[str] | float]

    def make(self, name: str, backend: str, available: Available, plan: PrecisionPlan) -> Candidate:
        """Build an engine, read back its precisions, load it and put it through the gate.

        What was made under this name before is gone.

        Raises:
            ExportError: the runtime refused.
            RejectedError: it computes in another precision than was asked for, or an output is too far from
                the checkpoint's.
        """
        self.discard(name)
        try:
            candidate = self._built(name, backend, available, plan)
            self._judge(candidate)
        except BaseException:
            self.discard(name)
            raise
        return candidate

    def discard(self, name: str) -> None:
        """Remove an engine's files."""
        shutil.rmtree(self._engine_folder(name), ignore_errors=True)

    def _built(self, name: str, backend: str, available: Available, plan: PrecisionPlan) -> Candidate:
        planned = planned_layers(self.standard, plan)
        directory = self._engine_folder(name)
        directory.mkdir(parents=True)
        spec = BuildSpec(
            directory, self.batch, self.config.image_size, plan, self.checkpoint, self.builder_config
        )
        start = time.perf_counter()
        with stderr.status(f"building {name}"), translate_runtime_errors(name, "build", ExportError):
            graph = self._graph(backend, plan, directory)
            engine = backend_named(backend).build(graph, spec)
        seconds = time.perf_counter() - start
        _remove_leftovers(graph, directory, engine.path)
        require_precision(plan, planned, engine)
        _log.info("built %s in %.1f s", name, seconds)
        record = EngineRecord(
            name=name,
            backend=backend,
            precision=plan.precision,
            plan=dict(plan.blocks),
            file=engine.path.relative_to(self.folder).as_posix(),
            batch=(self.batch.minimum, self.batch.optimum, self.batch.maximum),
            versions=available.versions,
            requires=engine.requires,
            status="built, not run",
            reason=available.run_blocker or "",
            layers=dict(engine.layers),
            build_seconds=round(seconds, 3),
        )
        return Candidate(record, engine.path, planned)

    def _graph(self, backend: str, plan: PrecisionPlan, directory: Path) -> Path:
        """Write the plan's graph; fp32 is in the bundle already, once for all engines."""
        if plan.precisions == {"fp32"}:
            return self.folder / STANDARD_ONNX
        path = directory / "model.onnx"
        # Some runtimes know symmetric quantization only.
        onnx.save_model(
            apply_plan(
                self.standard, plan, self.ranges, symmetric=backend_named(backend).INFO.symmetric_int8
            ),
            str(path),
        )
        return path

    def _judge(self, candidate: Candidate) -> None:
        record = candidate.record
        if record.reason:
            _log.warning("%s: built, not run: %s", record.name, record.reason)
            return
        with translate_runtime_errors(record.name, "load", ExportError):
            runner = backend_named(record.backend).load(candidate.path, usable_threads())
        with (
            stderr.status(f"verifying {record.name}"),
            translate_runtime_errors(record.name, "run", ExportError),
        ):
            limits = parse_limits(record.precision, self.limits)
            checks = self.verification.judge(record.name, runner, limits)
        if not all(check.passed for check in checks):
            raise RejectedError(failure_text(checks), checks)
        candidate.record = record.model_copy(update={"checks": checks, "status": "passed"})
        _log.info("%s: passed the gate", record.name)

    def _engine_folder(self, name: str) -> Path:
        return self.folder / "engines" / name


def _remove_leftovers(graph: Path, directory: Path, engine: Path) -> None:
    """Remove the graph if the engine is another file, and a folder that holds nothing."""
    if engine != graph and graph.parent == directory:
        graph.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


def require_precision(plan: PrecisionPlan, planned: dict[str, int], engine: EngineFile) -> None:
    """Refuse an engine that silently computes in another precision than was asked for."""
    if not engine.layers:
        return
    for wanted in sorted(plan.precisions - {"fp32"}):
        wished = planned.get(wanted, 0)
        if engine.layers.get(wanted, 0) < max(wished, wanted == plan.precision):
            layers = ", ".join(f"{count} in {precision}" for precision, count in engine.layers.items())
            raise RejectedError(
                f"of {wished} layers that any runtime can run in {wanted}, this one runs {layers}, so it "
                f"is not the engine that was asked for; leave {wanted} to another backend or to more blocks"
            )
