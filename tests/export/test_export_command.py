"""`export-engine` as a user calls it: every wrong call ends with its exit code and its reason."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from lnlattennet.bundle._export_options import MAX_FACES, MIN_FACES
from lnlattennet.export._cli import export_engine
from tests.export.exports import FAST, call_export


@pytest.mark.parametrize("flag", ["--calibration-faces", "--verification-faces"])
def test_the_help_gives_the_range_that_is_checked(flag: str) -> None:
    app = typer.Typer()
    app.command()(export_engine)
    (parameter,) = (parameter for parameter in get_command(app).params if flag in parameter.opts)
    assert f"{MIN_FACES} to {MAX_FACES}" in vars(parameter)["help"]


def test_json_goes_to_stdout_and_everything_else_to_stderr(checkpoint_path: Path, tmp_path: Path) -> None:
    done = call_export("-c", checkpoint_path, "-o", tmp_path / "out", *FAST, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    measured = [engine for engine in report["engines"] if engine["checks"]]
    assert len(measured) >= 2
    assert all(check["passed"] for engine in measured for check in engine["checks"])
    assert "passed the gate" in done.stderr
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())


def test_a_dry_run_builds_nothing(checkpoint_path: Path, tmp_path: Path) -> None:
    done = call_export("-c", checkpoint_path, "-o", tmp_path / "out", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    engines = ["torch-fp32", "aoti-fp32", "onnxruntime-fp32", "openvino-fp32", "tensorrt-fp32"]
    assert [build["engine"] for build in plan["build"]] == engines
    assert plan["verified_batches"] == [1, 2, 3, 4, 5, 8, 16, 32]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch", "8:4:1"], 2, "1 <= MIN <= OPT <= MAX"),
        (["--batch", ""], 2, "an argument must not be empty, and that after --batch is"),
        (["--batch", "8:"], 2, "--batch must be MIN:OPT:MAX or one number, such as 1:8:32, got '8:'"),
        (["--backend", "tvm"], 2, "unknown backend 'tvm'"),
        (["--backend", "auto", "--backend", "openvino"], 2, "--backend auto already means"),
        (["--min-shapes", "image:1x3x48x48"], 2, "all three of"),
        (["--atol", "logits:0", "--atol", "0", *FAST], 3, "no engine ran and passed"),
        (["--precision", "int4"], 2, "--precision must be one of auto, fp32"),
        (["--precision", "auto", "--precision", "int8"], 2, "--precision auto already means"),
        (["--precision", "bf16", "--backend", "onnxruntime"], 4, "onnxruntime cannot give --precision bf16"),
        (["--precision-plan", "none.json"], 2, "there is no such file"),
        (
            ["--precision", "int8", "--precision-plan", "none.json"],
            2,
            "either --precision or --precision-plan",
        ),
        (["--strategy", "cheapest"], 2, "--strategy must be one of min-latency"),
        (["--latency-budget", "5ms"], 2, "--strategy latency-budget --latency-budget 5ms"),
        (["--strategy", "latency-budget", "--latency-budget", "soon"], 2, "a positive time such as 5ms"),
        (["--latency-budget", ""], 2, "an argument must not be empty, and that after --latency-budget is"),
        (["--min-agreement", "99"], 2, "--min-agreement must be a share from 0 to 1"),
        (["--calibration-faces", "3"], 2, "--calibration-faces must be from 32"),
        (["--calibration-method", "guess"], 2, "--calibration-method must be one of minmax"),
        (["--data", "nowhere", *FAST], 1, "nowhere"),
        (["--split", "val"], 2, "--split val is about labeled faces; name them: --data"),
        (["--max-accuracy-drop", "0"], 2, "--max-accuracy-drop 0.0 is about labeled faces"),
        (["--calibration", ".", *FAST], 2, "is for int8 and fp8, which no engine of this export has"),
        (
            ["--calibration-method", "entropy", *FAST],
            2,
            "-method entropy: calibration is for int8",
        ),
        (["--calibration-faces", "64", *FAST], 2, "--calibration-faces 64: calibration is for int8"),
        (["--faces", "crop", *FAST], 2, "--faces crop is for images of --calibration and --data"),
        (["--faces", "crop", "--data", "synthetic", *FAST], 2, "--faces crop is for images of --calibration"),
        (["--timing-cache", ".", "--backend", "tensorrt"], 2, "--timing-cache . is a folder; name a file"),
        (["--builder-optimization-level", "9"], 2, "must be from 0 to 5, got 9"),
        (["--hardware-compatibility-level", "all"], 2, "must be one of none, ampere+"),
        (
            ["--version-compatible", *FAST],
            2,
            "for TensorRT's builder, and this export builds nothing with it",
        ),
        (["-o", "x" * 300, *FAST], 2, "File name too long"),
        (["--no-such-flag"], 2, "No such option"),
    ],
)
def test_a_wrong_call_ends_with_its_exit_code_and_reason(
    checkpoint_path: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = call_export("-c", checkpoint_path, "-o", tmp_path / "out", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_plan_says_what_a_search_falls_back_to(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lnlattennet.runtimes import _openvino as openvino

    monkeypatch.setattr(openvino, "unsupported_reason", lambda plan: None)
    arguments = ["-c", checkpoint_path, "-o", tmp_path / "out", "--dry-run", "--precision", "auto"]
    done = call_export(*arguments, "--backend", "openvino", "--backend", "onnxruntime")
    rows = " ".join(done.stdout.translate({ord(line): " " for line in "│┃"}).split())
    assert "blocks that fail the gate run in bf16 or fp32" in rows
    assert "blocks that fail the gate run in fp32" in rows


def test_a_backend_that_is_not_installed_names_its_extra(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if only the extra `export` were installed."""
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "openvino":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    arguments = ["-c", checkpoint_path, "-o", tmp_path / "out"]
    done = call_export(*arguments, "--backend", "openvino")
    assert done.returncode == 4
    assert "pip install 'lnlattennet[openvino]'" in done.stderr
    done = call_export(*arguments, "--dry-run", "--json")
    assert [item["backend"] for item in json.loads(done.stdout)["skipped"]] == ["openvino"]
    done = call_export(*arguments, "--dry-run")
    assert "pip install 'lnlattennet[openvino]'" in done.stdout
