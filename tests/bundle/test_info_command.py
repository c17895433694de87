"""`lnlattennet info` of a bundle, a checkpoint and neither."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lnlattennet._console import readable
from lnlattennet.bundle._cli import info
from lnlattennet.bundle._console import plan_text
from lnlattennet.bundle._manifest import SkippedEngine
from lnlattennet.errors import BundleError, CheckpointError, UsageError
from tests.bundle.manifests import agreement, engine, manifest, write_bundle


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(info)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({"a": "int8", "b": "int8", "c": "fp32"}, "int8; fp32: c"),
        ({"a": "fp32", "b": "fp32"}, "fp32"),
        ({"a": "int8", "b": "fp32", "c": "int8", "d": "fp16", "e": "fp32"}, "int8; fp32: b, e; fp16: d"),
        ({}, "-"),
    ],
)
def test_a_plan_is_described_by_its_exceptions(plan: dict[str, str], text: str) -> None:
    assert plan_text(plan) == text


def test_the_tables_list_engines_requirements_and_skipped_engines(tmp_path: Path) -> None:
    unrun = engine("tensorrt-fp16", status="built, not run", reason="no GPU", checks=[], latency=[])
    bundle = write_bundle(tmp_path, manifest(engine(), unrun))
    result = run(bundle)
    assert result.exit_code == 0, result.output
    for part in (
        "openvino-int8 (selected)",
        "int8; fp32: attention",
        "top-1 agreement 99.60%",
        "batch 8: 3.000 ms [2.970, 3.030]",
        "threads: 2",
        "openvino >=2026.0",
        "TensorRT is not installed",
        "--checkpoint 'face net.safetensors' --output build/x --precision auto",
    ):
        assert part in " ".join(result.stdout.split()), part


def test_json_is_one_document_with_sizes(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, manifest(), {"engines/openvino-int8.bin": b"weights", "model.onnx": b"x"})
    document = json.loads(run(bundle, "--json").stdout)
    assert document["bytes"] == len(b"openvino-int8") + len(b"weights") + 1
    assert document["engines"][0]["bytes"] == len(b"openvino-int8") + len(b"weights")
    assert document["selected"] == "openvino-int8"
    assert document["skipped"][0]["backend"] == "tensorrt"
    assert "sha256" not in json.dumps(document["engines"])


def test_an_answer_of_not_a_number_is_valid_json(tmp_path: Path) -> None:
    broken = SkippedEngine(backend="tensorrt", reason="broken", checks=[agreement(float("nan"))])
    bundle = write_bundle(tmp_path, manifest(skipped=[broken]))
    document = json.loads(run(bundle, "--json").stdout, parse_constant=pytest.fail)
    assert document["skipped"][0]["checks"][0]["value"] == "NaN"


def test_a_folder_without_a_bundle_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path).exception, BundleError)
    missing = run(tmp_path / "missing").exception
    assert isinstance(missing, CheckpointError)
    assert str(missing) == f"there is no checkpoint file and no bundle at {tmp_path / 'missing'}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": {"c": [1, 2], "d": {"e": None}}}, "a: 1\nb:\n  c: 1, 2\n  d:\n    e: none"),
        ({"a": {}, "b": "", "c": []}, "a: none\nb: none\nc: none"),
        ({}, "none"),
        ([{"a": 1}, 2], "a: 1, 2"),
        ("Freude \u263a", "Freude \u263a"),
    ],
)
def test_nested_fields_are_indented_and_nothing_is_none(value: Any, text: str) -> None:
    assert readable(value) == text


def test_a_bundle_shows_no_python_objects(tmp_path: Path) -> None:
    provenance = {"settings": {"images": None, "augmentation": {"name": "none"}}}
    shown = run(write_bundle(tmp_path, manifest(provenance=provenance))).stdout
    assert "settings:" in shown
    assert "{" not in shown
    assert "None" not in shown


def test_a_checkpoint_is_described_as_before(checkpoint_path: Path) -> None:
    document = json.loads(run(checkpoint_path, "--json").stdout)
    assert document["provenance"] == {"data": "none"}
    result = run(checkpoint_path)
    assert result.exit_code == 0, result.output
    assert "MFLOP per image" in result.stdout


def test_a_real_bundle_is_described(bundle_path: Path) -> None:
    document = json.loads(run(bundle_path, "--json").stdout)
    for one in document["engines"]:
        assert one["bytes"] > 0
        assert one["requires"]["packages"]
    result = run(bundle_path)
    assert result.exit_code == 0, result.output
    assert f"{document['selected']} (selected)" in " ".join(result.stdout.split())


def test_an_error_of_the_system_is_one_line_and_no_traceback() -> None:
    program = Path(sys.executable).with_name("lnlattennet")
    done = subprocess.run([program, "info", "x" * 300], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.replace("\n", "").endswith("xxx: File name too long")
    assert "Traceback" not in done.stderr


def test_presets_are_listed_with_their_sizes(tmp_path: Path) -> None:
    listed = json.loads(run("--presets", "--json").stdout)["presets"]
    sizes = {preset["name"]: preset["parameters"] for preset in listed}
    assert list(sizes) == ["small", "base", "large"]
    assert sizes["small"] < sizes["base"] <= 2_000_000 < sizes["large"]
    assert f"{sizes['base']:,}" in run("--presets").stdout
    refused = run(tmp_path, "--presets")
    assert isinstance(refused.exception, UsageError)
