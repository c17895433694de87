"""Build every asked-for engine, put it through the gate, and time those that passed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet.command import behind_interrupt, stderr
from lnlattennet.errors import ExportError, GateError, UnavailableError
from lnlattennet.export.backends import BACKENDS, backend_named
from lnlattennet.export.backends.base import Arrays, Available, BatchRange, BuildSpec, Runner
from lnlattennet.export.gate import Tolerances, check_engine
from lnlattennet.export.manifest import EngineRecord, Latency, OutputCheck, Skipped
from lnlattennet.export.timing import engine_latency, usable_threads

TIMING_ROUNDS = 50
_log = logging.getLogger(__name__)


@dataclass
class Candidate:
    """One engine on its way into the bundle.

    Attributes:
        record: what the manifest will say, without latency.
        runner: the loaded engine, or None where it cannot run.
        seconds: how long the build took.
        samples: batch size -> every timed call in milliseconds.
    """

    record: EngineRecord
    runner: Runner | None
    seconds: float
    samples: dict[int, list[float]] = field(default_factory=dict)


def chosen_backends(names: tuple[str, ...]) -> tuple[dict[str, Available], list[Skipped]]:
    """Return the backends to build with, and those left out with the reason.

    A backend that was asked for by name must be available; without names, all that are available are used.

    Raises:
        UnavailableError: a named backend is missing.
        UsageError: a name is unknown.
    """
    usable: dict[str, Available] = {}
    skipped: list[Skipped] = []
    for name in dict.fromkeys(names or BACKENDS):
        availability = backend_named(name).availability()
        if isinstance(availability, Available):
            usable[name] = availability
        elif names:
            raise UnavailableError(f"--backend {name}: {availability.reason}")
        else:
            skipped.append(Skipped(backend=name, reason=availability.reason))
    return usable, skipped


def build_candidate(name: str, available: Available, onnx_path: Path, spec: BuildSpec) -> Candidate:
    """Build one engine and load it if it can run here; raises ExportError if the runtime refuses."""
    backend = backend_named(name)
    start = time.perf_counter()
    with stderr.status(f"building {name}"), _runtime_failures(name, "build"):
        spec.directory.mkdir(parents=True)
        engine = backend.build(onnx_path, spec)
    seconds = time.perf_counter() - start
    _log.info("built %s in %.1f s", name, seconds)
    record = EngineRecord(
        name=f"{name}-fp32",
        backend=name,
        precision="fp32",
        file=engine.path.relative_to(onnx_path.parent).as_posix(),
        batch=(spec.batch.minimum, spec.batch.optimum, spec.batch.maximum),
        versions=available.versions,
        built_for=engine.built_for,
        status="built, not run",
        reason=available.cannot_run,
    )
    with _runtime_failures(name, "load"):
        runner = None if available.cannot_run else backend.load(engine.path, usable_threads())
    return Candidate(record, runner, seconds)


def gate_candidate(
    candidate: Candidate,
    reference: Arrays,
    faces: NDArray[np.float32],
    batch: BatchRange,
    tolerances: Tolerances,
) -> None:
    """Put a candidate that can run through the gate and note what was found.

    Raises:
        ExportError: it failed to run, or an output is too far from the checkpoint's.
    """
    name = candidate.record.name
    if candidate.runner is None:
        _log.warning("%s: built, not run: %s", name, candidate.record.reason)
        return
    with stderr.status(f"verifying {name}"), _runtime_failures(name, "run"):
        checks = check_engine(candidate.runner, reference, faces, batch, tolerances)
    if not all(check.passed for check in checks.values()):
        raise ExportError(why_failed(checks))
    candidate.record = candidate.record.model_copy(update={"checks": checks, "status": "passed"})
    _log.info("%s: passed the gate", name)


def why_failed(checks: dict[str, OutputCheck]) -> str:
    """Name every failing output with its worst batch, sample and distance."""
    return "failed the gate: " + "; ".join(
        f"{name} is {check.max_abs:.3g} from the checkpoint at batch {check.batch}, sample {check.sample} "
        f"(atol {check.atol:g}, rtol {check.rtol:g})"
        for name, check in checks.items()
        if not check.passed
    )


def time_candidates(candidates: list[Candidate], faces: NDArray[np.float32], batch: BatchRange) -> None:
    """Time all candidates that run, interleaved, at the smallest and the optimum batch."""
    runners = {c.record.name: c.runner for c in candidates if c.runner is not None}
    for size in sorted({batch.minimum, batch.optimum}):
        with stderr.status(f"timing batch {size}"):
            samples = engine_latency(runners, faces[:size], TIMING_ROUNDS)
        for candidate in candidates:
            if candidate.record.name in samples:
                candidate.samples[size] = samples[candidate.record.name]
    for candidate in candidates:
        latency = [_latency(size, values) for size, values in candidate.samples.items()]
        candidate.record = candidate.record.model_copy(update={"latency": latency})


def select_fastest(candidates: list[Candidate], skipped: list[Skipped], batch: BatchRange) -> tuple[str, str]:
    """Return the name of the passing engine with the lowest median latency at the smallest batch, and why.

    Raises:
        GateError: none ran and passed; the message gives every outcome.
    """
    passed = [candidate for candidate in candidates if candidate.record.status == "passed"]
    if not passed:
        outcomes = [f"{c.record.name}: {c.record.status}: {c.record.reason}" for c in candidates]
        outcomes += [f"{skip.backend}: {skip.reason}" for skip in skipped]
        raise GateError("no engine ran and passed, so nothing was written: " + "; ".join(outcomes))
    medians = {c.record.name: float(np.median(c.samples[batch.minimum])) for c in passed}
    name = min(medians, key=lambda key: medians[key])
    others = ", ".join(f"{key} {value:.2f} ms" for key, value in medians.items() if key != name)
    because = f"lowest median latency at batch {batch.minimum}: {medians[name]:.2f} ms"
    return name, f"{because} (against {others})" if others else f"{because} (the only engine that passed)"


@contextmanager
def _runtime_failures(name: str, action: str) -> Iterator[None]:
    """Turn whatever a runtime raises into ExportError, so that one that fails does not end the others.

    Runtimes raise undocumented types of their own; the operating system's errors (a full disk) concern all.
    """
    try:
        yield
    except (ExportError, OSError):
        raise
    except Exception as error:
        if behind_interrupt(error):
            raise KeyboardInterrupt from error
        raise ExportError(f"{name} failed to {action}: {type(error).__name__}: {error}") from error


def _latency(size: int, samples: list[float]) -> Latency:
    return Latency(
        batch=size,
        threads=usable_threads(),
        median_ms=float(np.median(samples)),
        p90_ms=float(np.percentile(samples, 90)),
        samples=len(samples),
    )
