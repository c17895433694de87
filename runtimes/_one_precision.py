"""The rule of runtimes that compute the whole network in one precision."""

from __future__ import annotations

from collections.abc import Sequence

from lnlattennet.runtimes._precision import PRECISIONS, PrecisionPlan


def unsupported_unless_one_of(runtime: str, plan: PrecisionPlan, known: Sequence[str]) -> str | None:
    """Return why ``runtime`` cannot give the plan; None if all of its blocks are in one of ``known``."""
    if len(plan.precisions) == 1 and plan.precision in known:
        return None
    asked = " and ".join(sorted(plan.precisions, key=PRECISIONS.index))
    return (
        f"{runtime} computes the whole network in one precision, {' or '.join(known)}; the plan has {asked}"
    )
