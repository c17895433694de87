"""`lnlattennet compare`: only what the intervals allow is called a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lnlattennet._cli_options import parse_percent
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._cli import compare
from lnlattennet.bundle._compare import compare_bundles, latency_changes
from lnlattennet.errors import BundleError, RegressionError, UsageError
from tests.bundle.manifests import agreement, engine, latency, manifest, write_bundle


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def pair(tmp_path: Path, *timings: Any) -> tuple[Path, Path]:
    """Write a bundle that takes 1 ms at batch 1, and one with the given latencies."""
    a = write_bundle(tmp_path / "a", manifest(engine(latency=[latency(1, 1.0)])))
    return a, write_bundle(tmp_path / "b", manifest(engine(latency=list(timings))))


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        (latency(1, 1.5), "slower"),
        (latency(1, 0.5), "faster"),
        (latency(1, 1.015), "no significant difference"),
        (latency(1, 1.5, spread=0.4), "no significant difference"),
        (latency(1, 1.5, threads=4), "not comparable"),
    ],
)
def test_a_difference_needs_intervals_apart_and_the_same_threads(other: Any, outcome: str) -> None:
    [change] = latency_changes(engine(latency=[latency(1, 1.0)]), engine(latency=[other, latency(8, 2.0)]))
    assert change.outcome == outcome
    assert change.change == pytest.approx(other.median_ms - 1)


def test_everything_that_changed_is_in_the_document(tmp_path: Path) -> None:
    before = engine(checks=[agreement(0.999)])
    after = engine(checks=[agreement(0.995)], plan=dict(before.plan) | {"unet.stem": "fp32"})
    a = write_bundle(
        tmp_path / "a",
        manifest(before, engine("onnxruntime-fp32")),
        {"engines/openvino-int8.bin": b"1234"},
    )
    b = write_bundle(
        tmp_path / "b",
        manifest(engine("aoti-fp32", latency=[latency(1, 0.25)]), after, class_names=["joy", "anger"]),
    )
    document = compare_bundles(Bundle.load(a), Bundle.load(b))
    assert document["same"] == {
        "checkpoint": True,
        "class_names": False,
        "preprocessing": True,
        "network": True,
    }
    assert (document["only_in_a"], document["only_in_b"]) == (["onnxruntime-fp32"], ["aoti-fp32"])
    assert (document["selected"]["a"], document["selected"]["b"]) == ("openvino-int8", "aoti-fp32")
    assert [(it["batch"], it["outcome"]) for it in document["selected"]["latency"]] == [(1, "faster")]
    [both] = document["engines"]
    assert both["bytes"]["a"] - both["bytes"]["b"] == 4
    assert both["same_file"]
    assert both["plan_changes"] == {"unet.stem": {"a": "int8", "b": "fp32"}}
    [check] = both["checks"]
    assert (check["a"]["value"], check["b"]["value"]) == (0.999, 0.995)


def test_tables_are_printed_by_default(tmp_path: Path) -> None:
    a, b = pair(tmp_path, latency(1, 1.005))
    result = run(a, b)
    assert result.exit_code == 0, result.output
    assert "no significant difference" in result.stdout
    assert "+0.5%" in result.stdout
    assert "nothing else changed" in result.stdout
    assert "only in" not in result.stdout  # both have the same engines


def test_a_significant_regression_beyond_the_limit_ends_with_5(tmp_path: Path) -> None:
    a, b = pair(tmp_path, latency(1, 1.2))
    assert run(a, b, "--fail-on-regression", "25%").exit_code == 0
    result = run(a, b, "--fail-on-regression", "5%", "--json")
    assert isinstance(result.exception, RegressionError)
    assert result.exception.exit_code == 5
    assert "batch 1 1.000 -> 1.200 ms (+20.0%)" in str(result.exception)
    assert json.loads(result.stdout)["selected"]["latency"][0]["outcome"] == "slower"
    assert run(b, a, "--fail-on-regression", "0").exit_code == 0


def test_a_slow_but_unsure_measurement_is_no_regression(tmp_path: Path) -> None:
    a, b = pair(tmp_path, latency(1, 1.5, spread=0.4))
    assert run(a, b, "--fail-on-regression", "5").exit_code == 0


@pytest.mark.parametrize("timings", [[], [latency(4, 1.0)], [latency(1, 1.0, threads=8)]])
def test_incomparable_timings_do_not_pass_as_no_regression(tmp_path: Path, timings: list[Any]) -> None:
    a, b = pair(tmp_path, *timings)
    assert run(a, b).exit_code == 0
    result = run(a, b, "--fail-on-regression", "5%")
    assert isinstance(result.exception, RegressionError)
    assert "cannot be ruled out" in str(result.exception)


@pytest.mark.parametrize("text", ["-5%", "five", "5 %", "nan", "1e3", ""])
def test_a_limit_that_is_not_a_percentage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-on-regression must be a share"):
        parse_percent(text)
    assert parse_percent("2.5%") == 2.5
    assert [parse_percent(text) for text in ("0", "5", "0.05%")] == [0, 5, 0.05]
    with pytest.raises(UsageError, match=r"0\.05 may mean 0\.05% or 5%; write one with its %"):
        parse_percent("0.05")


def test_a_damaged_bundle_is_refused_on_either_side(tmp_path: Path) -> None:
    a, b = pair(tmp_path, latency(1, 1.0))
    (b / "engines" / "openvino-int8.xml").unlink()
    for order in ((a, b), (b, a)):
        assert isinstance(run(*order).exception, BundleError)


def test_a_real_bundle_differs_in_nothing_from_itself(bundle_path: Path) -> None:
    result = run(bundle_path, bundle_path, "--fail-on-regression", "0%", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert all(document["same"].values())
    assert {it["outcome"] for it in document["selected"]["latency"]} == {"no significant difference"}
