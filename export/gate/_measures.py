"""The metrics that the gate takes of every call, with their limits."""

from __future__ import annotations

from functools import partial

from lnlattennet.export.gate._comparison import (
    cosine,
    kl_divergence,
    max_abs,
    sum_error,
    top1_agreement,
    top3_overlap,
)
from lnlattennet.export.gate._ledger import Measure
from lnlattennet.export.gate._limits import Limits
from lnlattennet.model._io_spec import OUTPUT_NAMES


def reference_measures(limits: Limits) -> list[Measure]:
    """Return what compares an engine's answers with the checkpoint's."""
    measures = [_difference("max_abs", name, limits.atol[name], limits.rtol[name]) for name in OUTPUT_NAMES]
    measures += [Measure("cosine", name, limits.cosine[name], cosine) for name in OUTPUT_NAMES]
    return [
        *measures,
        Measure("kl", "logits", limits.kl, kl_divergence),
        Measure("top1_agreement", "logits", limits.top1_agreement, top1_agreement),
        Measure("top3_overlap", "region_weights", limits.top3_overlap, top3_overlap),
        Measure("sum", "region_weights", limits.sum, sum_error),
        Measure("sum", "region_affinity", limits.sum, sum_error),
    ]


def permutation_measures(limits: Limits) -> list[Measure]:
    """Return what compares an engine's answers with its own, for the same face and batch size."""
    return [_difference("permutation", name, limits.permutation[name], 0.0) for name in OUTPUT_NAMES]


def _difference(metric: str, output: str, atol: float | None, rtol: float) -> Measure:
    limit = None if atol is None and not rtol else atol or 0.0
    return Measure(metric, output, limit, partial(max_abs, atol=limit or 0.0, rtol=rtol))
