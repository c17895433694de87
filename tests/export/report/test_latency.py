"""Latency strips."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnlattennet.export.report._latency import latency_charts


def test_there_is_a_dot_for_every_sample(document: dict[str, Any]) -> None:
    charts = latency_charts(document)
    assert [chart["batch"] for chart in charts] == [1, 8, 32]
    for chart in charts:
        assert len(chart["rows"]) == 6
        assert all(row["dots"].count("M") == row["record"]["samples"] == 100 for row in chart["rows"])


def test_a_chart_goes_from_fast_to_slow_and_compares_with_the_selected(document: dict[str, Any]) -> None:
    for chart in latency_charts(document):
        medians = [row["record"]["median_ms"] for row in chart["rows"]]
        assert medians == sorted(medians)
        chosen = next(row for row in chart["rows"] if row["name"] == "openvino-auto")
        assert chosen["ratio"] == 1
        assert [row["ratio"] for row in chart["rows"]] == [
            median / chosen["record"]["median_ms"] for median in medians
        ]
        assert all(np.diff([row["median"].at for row in chart["rows"]]) > 0)


def test_a_record_without_samples_still_has_its_median(document: dict[str, Any]) -> None:
    for engine in document["engines"]:
        engine["samples_ms"] = {}
    row = latency_charts(document)[0]["rows"][0]
    assert row["dots"] == ""
    assert row["box"].left == row["median"].at
