"""Charts of the checks: how much of its limit each one used."""

from __future__ import annotations

import math
from typing import Any

from lnlattennet._charts import LogAxis
from lnlattennet.export.gate._metrics import METRICS, Metric
from lnlattennet.export.report import _formatting as numbers

_LEAST, _MOST = 1e-6, 1e4


def metric_of(name: str) -> Metric:
    """Return the registry's row; faults of form, and metrics of another version, go by their own name."""
    return METRICS.get(name) or Metric(name=name, title=name, note="", failure="", limits=())


def used_share(check: dict[str, Any]) -> float | None:
    """Return the distance from a perfect answer, as a share of the distance that is allowed.

    1 is the limit. Where nothing is allowed, it is 0 for a perfect answer and infinite for any other. None if
    the check has no limit.
    """
    if check["limit"] is None:
        return None
    value, limit = float(check["value"]), float(check["limit"])
    if metric_of(check["metric"]).higher_is_better:
        value, limit = 1 - value, 1 - limit
    if math.isnan(value):
        return math.inf
    if value <= 0:
        return 0.0
    return value / limit if limit > 0 else math.inf


def check_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every check of every engine, those skipped last, with its texts."""
    checked = [(engine["name"], False, engine["checks"]) for engine in document["engines"]]
    checked += [(entry["name"], True, entry["checks"]) for entry in document["skipped"]]
    grid = int(document["network"]["grid"])
    return [
        {"engine": name, "skipped": skipped, **check, **_texts(check, grid)}
        for name, skipped, checks in checked
        for check in checks
    ]


def tolerance_panels(document: dict[str, Any]) -> dict[str, Any]:
    """Return one panel per metric and output, all on the same scale, in the order of ``METRICS``."""
    rows = [(row, used_share(row)) for row in check_rows(document)]
    finite = [share for _, share in rows if share and share < math.inf]
    axis = LogAxis.decades([*finite, 0.1, 10.0], _LEAST, _MOST)
    panels: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row, share in rows:
        place = {"at": None if share is None else axis.at(share), "perfect": share == 0}
        panels.setdefault((row["metric"], row["output"]), []).append(row | place)
    order = list(METRICS)
    limit = axis.at(1)
    return {
        "limit": limit,
        # The limit has a mark of its own, and its label must stay clear of its neighbors'.
        "ticks": [tick for tick in axis.labels(numbers.power) if abs(tick.at - limit) >= 14],
        "panels": [
            {
                "title": metric_of(metric).title,
                "note": metric_of(metric).note,
                "output": output,
                "rows": panels[metric, output],
            }
            for metric, output in sorted(
                panels, key=lambda key: order.index(key[0]) if key[0] in METRICS else len(order)
            )
        ],
    }


def _texts(check: dict[str, Any], grid: int) -> dict[str, str]:
    metric = metric_of(check["metric"])
    places = [f"batch {check['batch']}"] if check["batch"] is not None else []
    places += [f"face {check['sample']}"] if check["sample"] is not None else []
    if check["region"] is not None:
        row, column = divmod(check["region"], grid)
        places.append(f"region {check['region']} (row {row + 1}, column {column + 1})")
    bound = "≥" if metric.higher_is_better else "≤"
    return {
        "metric_name": metric.title,
        "value_text": numbers.check_value(metric.format, check["value"]),
        "limit_text": "no limit"
        if check["limit"] is None
        else f"{bound} {numbers.check_value(metric.format, check['limit'])}",
        "where": ", ".join(places),
    }
