"""The Pareto front."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from lnlattennet._charts import PLOT_HEIGHT
from lnlattennet.export.report._pareto import front_plots, front_rows


def test_the_front_is_what_nothing_beats(document: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in front_rows(document)}
    for plot in front_plots(document):
        # Divergences below 1e-9 are rounding, and count as none.
        bad = {
            name: max(value, 1e-9) if plot["metric"] == "kl" else -value
            for name, row in rows.items()
            if (value := row["agreement"][plot["metric"]]) is not None
        }
        fast = {
            name: record["median_ms"]
            for name, row in rows.items()
            if (record := row["latency"][plot["batch"]]) is not None
        }
        expected = {
            name
            for name in rows
            if not any(
                fast[other] <= fast[name] and bad[other] <= bad[name] and other != name for other in rows
            )
        }
        assert {point["name"] for point in plot["points"] if point["on_front"]} == expected


def test_plots_are_at_batch_1_and_at_the_optimum(document: dict[str, Any]) -> None:
    assert [plot["batch"] for plot in front_plots(document)] == [1, 8, 1, 8]
    assert all(
        [point["name"] for point in plot["points"] if point["selected"]] == ["openvino-auto"]
        for plot in front_plots(document)
    )


@pytest.mark.parametrize("width", [270, 500])
def test_numbers_do_not_cover_each_other(document: dict[str, Any], width: int) -> None:
    for plot in front_plots(document):
        labels = [(p["x"] * width / 100 + p["label"][0], p["y"] + p["label"][1]) for p in plot["points"]]
        assert all(0 <= y <= PLOT_HEIGHT for _, y in labels)
        assert all(max(abs(a - c), abs(b - d)) >= 10 for (a, b), (c, d) in combinations(labels, 2))


def test_agreement_that_is_alike_is_not_plotted(document: dict[str, Any]) -> None:
    for engine in document["engines"]:
        engine["checks"] = [check for check in engine["checks"] if check["metric"] != "kl"]
        for check in engine["checks"]:
            check["value"] = 1.0 if check["metric"] == "top1_agreement" else check["value"]
    assert front_plots(document) == []
    assert len(front_rows(document)) == 6


def test_divergences_that_are_rounding_are_not_plotted(document: dict[str, Any]) -> None:
    for index, engine in enumerate(document["engines"]):
        for check in engine["checks"]:
            if check["metric"] == "kl":
                check["value"] = index * 1e-13
    assert {plot["metric"] for plot in front_plots(document)} <= {"top1_agreement"}
