"""Checks as shares of their limits."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lnlattennet.export.report._checks import check_rows, tolerance_panels, used_share


@pytest.mark.parametrize(
    ("metric", "value", "limit", "share"),
    [
        ("max_abs", 5e-5, 1e-4, 0.5),
        ("max_abs", "Infinity", 1e-4, math.inf),
        ("max_abs", "NaN", 1e-4, math.inf),
        ("max_abs", 0.0, 0.0, 0.0),
        ("max_abs", 1e-9, 0.0, math.inf),
        ("cosine", 0.995, 0.99, 0.5),
        ("top1_agreement", 0.97, 0.99, 3.0),
        ("top1_agreement", 1.0, 1.0, 0.0),
        ("top1_agreement", 0.999, 1.0, math.inf),
        ("accuracy_drop", -0.01, 0.005, 0.0),
    ],
)
def test_a_share_of_1_is_the_limit(metric: str, value: float | str, limit: float, share: float) -> None:
    assert used_share({"metric": metric, "value": value, "limit": limit}) == pytest.approx(share)


def test_every_check_is_drawn_on_the_side_of_the_limit_that_it_is_on(document: dict[str, Any]) -> None:
    found = tolerance_panels(document)
    drawn = [row for panel in found["panels"] for row in panel["rows"]]
    everyone = [*document["engines"], *document["skipped"]]
    assert len(drawn) == sum(len(entry["checks"]) for entry in everyone)
    assert any(not row["passed"] for row in drawn)
    assert all((row["at"] <= found["limit"]) == row["passed"] for row in drawn if row["limit"] is not None)


def test_what_has_no_limit_is_reported_and_not_drawn(document: dict[str, Any]) -> None:
    free = [
        row for panel in tolerance_panels(document)["panels"] for row in panel["rows"] if row["limit"] is None
    ]
    assert free
    assert all((row["at"], row["limit_text"]) == (None, "no limit") for row in free)


def test_panels_hold_one_metric_of_one_output(document: dict[str, Any]) -> None:
    panels = tolerance_panels(document)["panels"]
    keys = [{(row["metric"], row["output"]) for row in panel["rows"]} for panel in panels]
    assert all(len(key) == 1 for key in keys)
    assert len(set.union(*keys)) == len(panels)


def test_a_region_is_given_by_row_and_column(document: dict[str, Any]) -> None:
    worst = next(row for row in check_rows(document) if row["region"] == 10)
    assert worst["where"] == "batch 8, face 12, region 10 (row 3, column 3)"


def test_a_metric_of_a_later_version_is_shown_by_its_own_name(document: dict[str, Any]) -> None:
    document["engines"][0]["checks"][0]["metric"] = "median_abs"
    assert tolerance_panels(document)["panels"][-1]["title"] == "median_abs"
