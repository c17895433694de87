"""Makes the engines of an export one by one; a precision search tries several plans for one engine."""

from __future__ import annotations

import logging

from lnlattennet.bundle._manifest import LeftOut
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.export._engine_builder import Candidate, RejectedError, Workshop
from lnlattennet.export._jobs import Job
from lnlattennet.export.precision._search import search_plan
from lnlattennet.runtimes._precision import QUANTIZED, PrecisionPlan

_log = logging.getLogger(__name__)


def make_all(jobs: list[Job], workshop: Workshop) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the engines that may be published, and those that may not with the reason."""
    kept: list[Candidate] = []
    failed: list[LeftOut] = []
    for job in jobs:
        try:
            kept.append(_search(job, workshop) if job.search else _make(job, job.plan, workshop))
        except LnlAttenNetError as error:
            _log.error("%s: %s", job.name, error)
            checks = error.checks if isinstance(error, RejectedError) else []
            failed.append(
                LeftOut(backend=job.backend, precision=job.plan.precision, reason=str(error), checks=checks)
            )
    return kept, failed


def _make(job: Job, plan: PrecisionPlan, workshop: Workshop) -> Candidate:
    return workshop.make(job.name, job.backend, job.available, plan)


def _search(job: Job, workshop: Workshop) -> Candidate:
    """Make the engine of the job's plan, or of as much of its quantised part as passes the gate."""
    precision = job.plan.precision
    quantized = [name for name, chosen in job.plan.blocks.items() if chosen in QUANTIZED]
    made: list[Candidate] = []
    failures: list[RejectedError] = []

    def passes(plan: PrecisionPlan) -> bool:
        _log.info("%s: trying %d blocks in %s", job.name, plan.count(precision), precision)
        try:
            made.append(_make(job, plan, workshop))
        except RejectedError as failure:
            _log.info("%s: %s", job.name, failure)
            failures.append(failure)
            return False
        return True

    result = search_plan(job.plan, job.plan.raised(dict.fromkeys(quantized, "fp32")), passes)
    if result.plan is None:
        reason = f"{failures[0]}; nor did fewer blocks in {precision} pass ({len(result.tried)} plans tried)"
        raise RejectedError(reason, failures[0].checks)
    # Each try takes the place of the one before: if the last one failed, the engine of the kept plan is gone.
    candidate = made[-1] if result.tried[-1][1] else _make(job, result.plan, workshop)
    candidate.tries = len(result.tried)
    return candidate
