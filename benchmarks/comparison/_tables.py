"""Table of what changed between two records."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lnlattennet._statistics import Estimate
from lnlattennet.benchmarks.comparison._changes import Change
from lnlattennet.benchmarks.harness._tables import aligned

_COLUMNS = ("case", "candidate", "caches", "time, new over old", "over the other candidates", "verdict")


def change_table(found: Iterable[Change]) -> str:
    """Return a row for each change, with both ratios and their intervals."""
    rows = [_COLUMNS]
    for change in found:
        name = change.candidate if change.subject else f"({change.candidate})"
        controlled = _ratio(change.controlled) if change.controlled else "no others"
        rows.append((change.case, name, change.state, _ratio(change.ratio), controlled, change.verdict))
    return aligned(rows)


def _ratio(ratio: Estimate) -> str:
    if math.isinf(ratio.high):
        return f"{ratio.value:.3f}"
    return "{:.3f} [{:.3f}, {:.3f}]".format(*ratio)
