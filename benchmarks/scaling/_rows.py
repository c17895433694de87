"""Rows of a record's table: one for each sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lnlattennet._statistics import Estimate
from lnlattennet.benchmarks.harness._record import WARM

CANDIDATE = "the bundle"


def scaling_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each sweep of a record's JSON document: the time at each size, and the exponent."""
    rows = [["sweep", "what is timed, and of what the size is a number", "size: median, ms", "exponent"]]
    for name, sweep in record["sweeps"].items():
        times = ", ".join(
            f"{case['config']['size']:,}: {_median_ms(case):.1f}"
            for case in record["cases"]
            if case["config"]["sweep"] == name
        )
        fitted = sweep["exponent"]
        exponent = Estimate(*fitted).text() if fitted else ""
        rows.append([name, sweep["what"], times, exponent])
    return rows


def _median_ms(case: Mapping[str, Any]) -> float:
    return float(np.median(case["candidates"][CANDIDATE]["timings"][WARM]["samples_us"])) / 1e3
