"""Whole export: checkpoint -> ONNX -> engines -> gate -> timing -> bundle, all or nothing."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from lnlattennet._atomic import draft_folder, replace_folder, sole_writer
from lnlattennet._console import status
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._export_options import ExportOptions, SelectionOptions
from lnlattennet.bundle._manifest import SkippedEngine
from lnlattennet.errors import BundleError, CheckpointError, GateError, LnlAttenNetError
from lnlattennet.export._bundle_writer import write_bundle, write_errors
from lnlattennet.export._candidate import Candidate
from lnlattennet.export._engine_builder import EngineBuilder, RejectedError, prepare_build
from lnlattennet.export._plan import Job, plan_export
from lnlattennet.export.precision._search import search_plan
from lnlattennet.export.selection._strategy import Selection, select
from lnlattennet.export.selection._timing import TimingError, engine_arguments, summary, time_in_turns
from lnlattennet.runtimes._precision import QUANTIZED, PrecisionPlan

_log = logging.getLogger(__name__)


def export_engine(options: ExportOptions) -> dict[str, Any]:
    """Write a bundle to ``options.output`` and return its report (what `report.json` holds).

        export_engine(ExportOptions(checkpoint=Path("mine.safetensors"), output=Path("build/mine")))

    Raises:
        CheckpointError: the checkpoint cannot be used, or was changed during the export.
        UnavailableError, UsageError, DataError, ImageError: before anything is built.
        BundleError: the output exists, cannot be written, or another process is writing it.
        GateError: no engine passed; nothing was written.
    """
    started = time.perf_counter()
    plan = plan_export(options)
    output = options.output.resolve()
    with (
        write_errors(options.output),
        sole_writer(output, BundleError),
        replace_folder(output) as folder,
        # If this process is killed, the next one removes both.
        draft_folder(output) as scratch,
    ):
        builder = prepare_build(plan, folder, scratch)
        candidates, failed = build_engines(plan.jobs, builder)
        skipped = [*plan.skipped, *failed]
        skipped += _time(candidates, builder, options, scratch)
        selection = _select(candidates, skipped, options.selection)
        # Some backends read the file themselves, minutes after it was first read.
        if hash_file(options.checkpoint).sha256 != plan.checkpoint_sha256:
            raise CheckpointError(f"{options.checkpoint} was changed while it was exported; export it again")
        builder.write_symmetric_int8(candidates)
        verification = builder.verification_record(candidates, time.perf_counter() - started)
        report = write_bundle(plan, candidates, skipped, selection, verification, folder)
    _log.info("wrote %s: %s serves: %s", options.output, selection.name, selection.because)
    return report


def build_engines(jobs: list[Job], builder: EngineBuilder) -> tuple[list[Candidate], list[SkippedEngine]]:
    """Build every job; return the engines that may be published, and the others with the reason."""
    candidates: list[Candidate] = []
    failed: list[SkippedEngine] = []
    for job in jobs:
        try:
            candidates.append(_search(job, builder) if job.search else builder.build(job, job.plan))
        except LnlAttenNetError as error:
            _log.error("%s: %s", job.name, error)
            checks = error.checks if isinstance(error, RejectedError) else []
            failed.append(
                SkippedEngine(
                    backend=job.backend, precision=job.plan.precision, reason=str(error), checks=checks
                )
            )
    return candidates, failed


def _search(job: Job, builder: EngineBuilder) -> Candidate:
    """Build the engine of the job's plan, or of as much of its quantized part as passes the gate.

    Blocks that are not quantized run as the head does, in bf16 where the backend has it; if no such plan
    passes, in fp32.
    """
    precision = job.plan.precision
    quantized = [name for name, chosen in job.plan.blocks.items() if chosen in QUANTIZED]
    outcomes: list[Candidate | RejectedError] = []
    rejected: list[PrecisionPlan] = []

    def passes(plan: PrecisionPlan) -> bool:
        # The search in fp32 begins with the plan that the one in bf16 began with.
        if plan in rejected:
            return False
        blocks = list(plan.blocks.values()).count(precision)
        others = ", ".join(sorted(plan.precisions - {precision})) or "none"
        _log.info("%s: trying %d blocks in %s, others in %s", job.name, blocks, precision, others)
        try:
            outcomes.append(builder.build(job, plan))
        except RejectedError as failure:
            _log.info("%s: %s", job.name, failure)
            outcomes.append(failure)
            rejected.append(plan)
        return isinstance(outcomes[-1], Candidate)

    kept = None
    for exact in job.fallbacks:
        kept = search_plan(job.plan, job.plan.raised(dict.fromkeys(quantized, exact)), passes)
        if kept is not None:
            break
    first, last = outcomes[0], outcomes[-1]
    if kept is None and isinstance(first, RejectedError):
        some_passed = any(isinstance(outcome, Candidate) for outcome in outcomes)
        less = f"fewer blocks in {precision} did not" if some_passed else f"without {precision} it does not"
        reason = f"{first}; {less} pass either ({len(outcomes)} plans tried)"
        raise RejectedError(reason, first.checks)
    # Each try replaces the one before: if the last one failed, the engine of the kept plan is gone.
    candidate = last if isinstance(last, Candidate) else builder.build(job, kept or job.plan)
    candidate.plans_tried = len(outcomes)
    return candidate


def _time(
    candidates: list[Candidate], builder: EngineBuilder, options: ExportOptions, scratch: Path
) -> list[SkippedEngine]:
    """Time the engines that passed; remove those that fail from ``candidates``, and return the reasons.

    The gate ran them in this process; in a process of its own an engine may still run out of memory or
    crash. The others are then timed again without it, because all must take part in the same rounds.
    """
    failed: list[SkippedEngine] = []
    sizes = {options.batch.minimum, options.batch.optimum}
    if options.selection.strategy != "min-latency":
        sizes.add(options.batch.maximum)
    while True:
        passed = {candidate.name: candidate for candidate in candidates if candidate.passed}
        try:
            with status(f"timing {len(passed)} engines"):
                samples = time_in_turns(
                    {name: engine_arguments(c.record.backend, c.path) for name, c in passed.items()},
                    builder.verifier.faces,
                    sorted(sizes),
                    options.selection.rounds,
                    scratch,
                )
        except TimingError as error:
            _log.error("%s", error)
            record = passed[error.name].record
            candidates.remove(passed[error.name])
            builder.discard(record.name)
            failed.append(
                SkippedEngine(backend=record.backend, precision=record.precision, reason=str(error))
            )
        else:
            break
    for name, candidate in passed.items():
        candidate.samples = samples[name]
        latency = [summary(size, values) for size, values in samples[name].items()]
        candidate.record = candidate.record.model_copy(update={"latency": latency})
    return failed


def _select(
    candidates: list[Candidate], skipped: list[SkippedEngine], options: SelectionOptions
) -> Selection:
    passed = [candidate for candidate in candidates if candidate.passed]
    if not passed:
        outcomes = [f"{c.name}: {c.record.status}: {c.record.reason}" for c in candidates]
        outcomes += [f"{item.backend} {item.precision}".strip() + f": {item.reason}" for item in skipped]
        raise GateError("no engine ran and passed, so nothing was written: " + "; ".join(outcomes))
    return select(passed, options)
