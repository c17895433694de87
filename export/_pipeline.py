"""The whole export: checkpoint -> ONNX -> engines -> gate -> timing -> bundle, all or nothing."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from lnlattennet._atomic import draft_folder, replace_folder, sole_writer
from lnlattennet._console import stderr
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._manifest import LeftOut
from lnlattennet.errors import BundleError, CheckpointError, GateError
from lnlattennet.export._bundle_writer import publish
from lnlattennet.export._engine_builder import Candidate, Workshop
from lnlattennet.export._jobs import planned_jobs
from lnlattennet.export._making import make_all
from lnlattennet.export._options import ExportOptions
from lnlattennet.export._output import check_output, write_errors
from lnlattennet.export._preparation import calibration_pictures, open_workshop
from lnlattennet.export.gate._check import batch_sizes
from lnlattennet.export.gate._labelled_data import check_labelled
from lnlattennet.export.selection._strategy import Contender, Selection, select
from lnlattennet.export.selection._timing import (
    RivalError,
    engine_arguments,
    summary,
    time_in_turns,
)
from lnlattennet.model._checkpoint import load_checkpoint

_log = logging.getLogger(__name__)


def plan_export(options: ExportOptions) -> dict[str, Any]:
    """Check everything that can be checked without building, and say what an export would do."""
    check_output(options.output, force=options.force)
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    jobs, left_out = planned_jobs(options, checkpoint.info.config)
    if options.criteria.data is not None:
        check_labelled(options.criteria.data, options.criteria.split, checkpoint.info.class_names)
    if options.calibration.pictures and any(job.quantized for job in jobs):
        calibration_pictures(options.calibration, checkpoint)
    return {
        "checkpoint": str(options.checkpoint),
        "output": str(options.output),
        "class_names": list(checkpoint.info.class_names),
        "batch": str(options.batch),
        "verified_batches": batch_sizes(options.batch),
        "build": [
            {
                "engine": job.name,
                "backend": job.backend,
                "plan": dict(job.plan.blocks),
                "search": job.search,
                "versions": job.available.versions,
                "cannot_run": job.available.run_blocker or "",
            }
            for job in jobs
        ],
        "left_out": [item.model_dump() for item in left_out],
    }


def export_engine(options: ExportOptions) -> dict[str, Any]:
    """Write a bundle to ``options.output`` and return its report (what `report.json` holds).

    Raises:
        CheckpointError: it cannot be used, or was changed meanwhile.
        UnavailableError, UsageError, DataError: before anything is built.
        BundleError: the output exists, cannot be written, or another process is writing it.
        GateError: no engine passed; nothing was written.
    """
    started = time.perf_counter()
    check_output(options.output, force=options.force)
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    digest = hash_file(options.checkpoint).sha256
    jobs, left_out = planned_jobs(options, checkpoint.info.config)
    output = options.output.resolve()
    with (
        write_errors(options.output),
        sole_writer(output, BundleError),
        replace_folder(output) as folder,
        # If this process is killed, the next one removes both.
        draft_folder(output) as scratch,
    ):
        workshop = open_workshop(checkpoint, options, jobs, folder, scratch)
        kept, failed = make_all(jobs, workshop)
        left_out += failed
        left_out += _time(kept, workshop, options, scratch)
        selection = _select(kept, left_out, options)
        facts = _facts(workshop, options, kept, started)
        _refuse_changed(options.checkpoint, digest)
        document = publish(checkpoint, digest, options, kept, left_out, selection, facts, folder)
    _log.info("wrote %s: %s serves: %s", options.output, document["selected"], document["selected_because"])
    return document


def _refuse_changed(checkpoint: Path, digest: str) -> None:
    """Some backends read the file themselves, minutes after it was first read."""
    if hash_file(checkpoint).sha256 != digest:
        raise CheckpointError(f"{checkpoint} was changed while it was exported; export it again")


def _facts(
    workshop: Workshop, options: ExportOptions, kept: list[Candidate], started: float
) -> dict[str, Any]:
    """Return how the engines were judged, for the manifest."""
    return workshop.verification.facts() | {
        "calibration": workshop.calibration,
        "planned_layers": {candidate.record.name: candidate.planned for candidate in kept},
        "plans_tried": {candidate.record.name: candidate.tries for candidate in kept if candidate.tries > 1},
        "strategy": options.criteria.strategy,
        "latency_budget_ms": options.criteria.budget_ms,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _time(kept: list[Candidate], workshop: Workshop, options: ExportOptions, scratch: Path) -> list[LeftOut]:
    """Time the engines that passed; take those from ``kept`` that fail meanwhile, and return why.

    The gate ran them in this process. In one of its own an engine may still lack memory, or crash: the others
    are then timed anew without it, since all must have taken part in the same rounds.
    """
    failed: list[LeftOut] = []
    while True:
        try:
            _time_in_turns(kept, workshop, options, scratch)
        except RivalError as error:
            record = next(c.record for c in kept if c.record.name == error.name)
            _log.error("%s", error)
            kept[:] = [c for c in kept if c.record is not record]
            workshop.discard(record.name)
            failed.append(LeftOut(backend=record.backend, precision=record.precision, reason=str(error)))
        else:
            return failed


def _time_in_turns(kept: list[Candidate], workshop: Workshop, options: ExportOptions, scratch: Path) -> None:
    """Time all engines that passed, interleaved, at the batch sizes that the strategy looks at."""
    passed = {c.record.name: c for c in kept if c.record.status == "passed"}
    batch = options.batch
    sizes = {batch.minimum, batch.optimum}
    if options.criteria.strategy != "min-latency":
        sizes.add(batch.maximum)
    rivals = {name: engine_arguments(c.record.backend, c.path) for name, c in passed.items()}
    with stderr.status(f"timing {len(rivals)} engines"):
        samples = time_in_turns(
            rivals, workshop.verification.faces, sorted(sizes), options.criteria.rounds, scratch
        )
    for name, candidate in passed.items():
        candidate.samples = samples[name]
        latency = [summary(size, values) for size, values in samples[name].items()]
        candidate.record = candidate.record.model_copy(update={"latency": latency})


def _select(kept: list[Candidate], left_out: list[LeftOut], options: ExportOptions) -> Selection:
    contenders = [
        Contender(c.record.name, c.record.backend, c.record.precision, c.samples)
        for c in kept
        if c.record.status == "passed"
    ]
    if not contenders:
        outcomes = [f"{c.record.name}: {c.record.status}: {c.record.reason}" for c in kept]
        outcomes += [f"{' '.join(filter(None, (o.backend, o.precision)))}: {o.reason}" for o in left_out]
        raise GateError("no engine ran and passed, so nothing was written: " + "; ".join(outcomes))
    return select(contenders, options.criteria.strategy, options.criteria.budget_ms)
