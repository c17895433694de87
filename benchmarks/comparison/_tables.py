"""Table of what changed between two records."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lnlattennet._statistics import Estimate
from lnlattennet.benchmarks.comparison._changes import Change
from lnlattennet.benchmarks.harness._tables import aligned

_COLUMNS = ("case", "candidate", "caches", "time, new over old", "over the other candidates", "verdict")


_BUSY = (
    "The machine was not quiet, so times are not trusted: the ratio over the other candidates decides\n"
    "alone, with 99% intervals. For a small change take a quiet machine and more starts."
)


def change_table(found: Iterable[Change], *, quiet: bool = True) -> str:
    """Return a row for each change, with both ratios and their intervals; unless ``quiet``, what decides."""
    rows = [_COLUMNS]
    for change in found:
        name = change.candidate if change.subject else f"({change.candidate})"
        controlled = _ratio(change.controlled) if change.controlled else "no others"
        rows.append((change.case, name, change.state, _ratio(change.ratio), controlled, change.verdict))
    return aligned(rows) if quiet else f"{aligned(rows)}\n\n{_BUSY}"


def _ratio(ratio: Estimate) -> str:
    if math.isinf(ratio.high):
        return f"{ratio.value:.3f}"
    return ratio.text(".3f")
