"""Exports: whole or nothing, and every wrong call ends with its reason."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.errors import BundleError, CheckpointError, GateError
from lnlattennet.export.backends.base import BatchRange
from lnlattennet.export.bundle import Bundle, hash_file
from lnlattennet.export.engine_export import export_engine
from lnlattennet.export.options import Criteria, ExportOptions, LimitFlags
from lnlattennet.export.timing import engine_arguments

EXPORT = [str(Path(sys.executable).with_name("export-engine")), "--verification-faces", "32"]
FAST = ["--backend", "onnxruntime", "--backend", "openvino"]
"""Runtimes that build in a moment."""


def options(checkpoint: Path, output: Path, **fields: Any) -> ExportOptions:
    settings: dict[str, Any] = {
        "batch": BatchRange(1, 2, 3), "backends": ("onnxruntime",), "criteria": Criteria(faces=32, rounds=5)
    } | fields  # fmt: skip
    return ExportOptions(checkpoint=checkpoint, output=output, **settings)


def test_an_existing_output_is_refused_without_force(checkpoint_path: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    export_engine(options(checkpoint_path, output))
    before = hash_file(output / "manifest.json")
    with pytest.raises(BundleError, match="is a bundle already; pass --force"):
        export_engine(options(checkpoint_path, output))
    assert hash_file(output / "manifest.json") == before
    export_engine(options(checkpoint_path, output, batch=BatchRange(1, 1, 2), force=True))
    assert Bundle.load(output).manifest.engines[0].batch == (1, 1, 2)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_no_bundle_is_never_replaced(
    checkpoint_path: Path, tmp_path: Path, force: bool
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        export_engine(options(checkpoint_path, tmp_path, force=force))
    with pytest.raises(BundleError, match="not a folder that can be written to"):
        export_engine(options(checkpoint_path, tmp_path / "thesis.txt" / "out", force=force))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_refused(checkpoint_path: Path) -> None:
    """Nobody may create a folder in /proc, not even root."""
    with pytest.raises(BundleError, match=r"-o /proc/out.* another"):
        export_engine(options(checkpoint_path, Path("/proc/out")))


def test_if_no_engine_passes_nothing_is_written(checkpoint_path: Path, tmp_path: Path) -> None:
    impossible = Criteria(faces=32, limits=LimitFlags(atol=("0",)))
    with pytest.raises(
        GateError, match=r"no engine ran and passed.*logits is .* from the checkpoint.*batch \d+, sample \d+"
    ):
        export_engine(
            options(
                checkpoint_path, tmp_path / "out", criteria=impossible, backends=("onnxruntime", "openvino")
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_could_not_be_run_is_not_published_alone(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    from lnlattennet.export.backends.cuda_memory import why_no_gpu

    if not why_no_gpu():
        pytest.skip("with a GPU the engine runs")
    with pytest.raises(GateError, match="tensorrt-fp32: built, not run: no GPU"):
        export_engine(options(checkpoint_path, tmp_path / "out", backends=("tensorrt",)))
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_to_run_does_not_end_the_others(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that raises something of its own while loading: its files must not stay behind."""
    from lnlattennet.export.backends import openvino

    def broken(engine_file: Path, threads: int = 0) -> None:
        raise ValueError("this CPU lacks an instruction")

    monkeypatch.setattr(openvino, "load", broken)
    report = export_engine(options(checkpoint_path, tmp_path / "out", backends=("onnxruntime", "openvino")))
    assert [engine["backend"] for engine in report["engines"]] == ["onnxruntime"]
    assert "ValueError: this CPU lacks an instruction" in report["left_out"][0]["reason"]
    assert not list((tmp_path / "out").rglob("*openvino*"))
    Bundle.load(tmp_path / "out")


def test_a_checkpoint_that_changes_meanwhile_is_not_vouched_for(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that goes on may write its file anew."""
    from lnlattennet.export.backends import onnxruntime

    checkpoint = Path(shutil.copy(checkpoint_path, tmp_path / "mine.safetensors"))
    build = onnxruntime.build

    def slow_build(path: Path, spec: Any) -> Any:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
        return build(path, spec)

    monkeypatch.setattr(onnxruntime, "build", slow_build)
    with pytest.raises(CheckpointError, match=r"mine\.safetensors was changed while it was exported"):
        export_engine(options(checkpoint, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_an_engine_that_fails_while_it_is_timed_does_not_end_the_others(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Say it lacks memory in a process of its own: the process that times it really ends."""
    from lnlattennet.export import engine_export

    def arguments(backend: str, path: Path) -> tuple[str, list[Any]]:
        function, values = engine_arguments(backend, path)
        return function, ([backend, "gone.xml", 1] if backend == "openvino" else values)

    monkeypatch.setattr(engine_export, "engine_arguments", arguments)
    report = export_engine(options(checkpoint_path, tmp_path / "out", backends=("openvino", "onnxruntime")))
    assert [engine["name"] for engine in report["engines"]] == ["onnxruntime-fp32"]
    assert re.search(
        r"openvino-fp32: the process that times it ended with exit code 1: .*gone\.xml",
        report["left_out"][0]["reason"],
    )
    assert not list((tmp_path / "out").rglob("*openvino*"))
    assert Bundle.load(tmp_path / "out").manifest.selected == "onnxruntime-fp32"


@pytest.mark.parametrize("output", [".", "..", "here/.."])
def test_the_current_folder_is_never_the_output(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="is the current folder or holds it"):
        export_engine(options(checkpoint_path, Path(output)))


def run_export(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [*EXPORT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **settings)


def test_json_goes_to_stdout_and_everything_else_to_stderr(checkpoint_path: Path, tmp_path: Path) -> None:
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", *FAST, "--batch", "1:2:3", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    measured = [engine for engine in report["engines"] if engine["checks"]]
    assert len(measured) >= 2
    assert all(check["passed"] for engine in measured for check in engine["checks"])
    assert "passed the gate" in done.stderr
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())


def test_a_dry_run_builds_nothing(checkpoint_path: Path, tmp_path: Path) -> None:
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    engines = ["torch-fp32", "aoti-fp32", "onnxruntime-fp32", "openvino-fp32", "tensorrt-fp32"]
    assert [build["engine"] for build in plan["build"]] == engines
    assert plan["verified_batches"] == [1, 2, 3, 5, 8, 32]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch", "8:4:1"], 2, "1 <= MIN <= OPT <= MAX"),
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
        (["--min-agreement", "99"], 2, "--min-agreement must be a share from 0 to 1"),
        (["--calibration-faces", "3"], 2, "--calibration-faces must be from 32"),
        (["--calibration-method", "guess"], 2, "--calibration-method must be one of minmax"),
        (["--data", "nowhere", *FAST], 1, "nowhere"),
        (["--split", "val"], 2, "--split val is about labelled faces; name them: --data"),
        (["--max-accuracy-drop", "0"], 2, "--max-accuracy-drop 0.0 is about labelled faces"),
        (["--calibration", ".", *FAST], 2, "is for int8 and fp8, which no engine of this export has"),
        (["--builder-optimization-level", "9"], 2, "must be from 0 to 5, got 9"),
        (["--hardware-compatibility-level", "all"], 2, "must be one of none, ampere+"),
        (
            ["--version-compatible", *FAST],
            2,
            "for TensorRT's builder, and this export builds nothing with it",
        ),
        (["-o", "x" * 300, *FAST], 1, "File name too long"),
        (["--no-such-flag"], 2, "No such option"),
    ],
)
def test_a_wrong_call_ends_with_its_exit_code_and_reason(
    checkpoint_path: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_backend_that_is_not_installed_names_its_extra(checkpoint_path: Path, tmp_path: Path) -> None:
    """A sitecustomize hides the package, as if only the extra `export` were installed."""
    hide = "import importlib.metadata as m\nold = m.version\ndef version(name):\n"
    hide += "    if name == 'openvino':\n        raise m.PackageNotFoundError(name)\n"
    hide += "    return old(name)\nm.version = version\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", "--backend", "openvino", env=environment)
    assert done.returncode == 4
    assert "pip install 'lnlattennet[openvino]'" in done.stderr
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", "--dry-run", "--json", env=environment)
    assert [item["backend"] for item in json.loads(done.stdout)["left_out"]] == ["openvino"]
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", "--dry-run", env=environment)
    assert "pip install 'lnlattennet[openvino]'" in done.stdout


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the export ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["start", "onnx", "engines"])
def test_an_interrupted_export_leaves_the_old_bundle_and_nothing_else(
    bundle_copy: Path, checkpoint_path: Path, moment: str, number: signal.Signals
) -> None:
    before = {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()}
    command = [*EXPORT, *FAST, "-c", str(checkpoint_path), "-o", str(bundle_copy), "--force"]
    # Not the lock: a signal just before it is held leaves that empty file, which the next export takes over.
    patterns = {"start": ".copy.????????", "onnx": ".copy.*/model.onnx", "engines": ".copy.*/engines/*/*.xml"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any(bundle_copy.parent.glob(patterns[moment])), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()} == before
    assert list(bundle_copy.parent.iterdir()) == [bundle_copy]


def test_a_full_disk_is_said_and_leaves_nothing(checkpoint_path: Path, tmp_path: Path) -> None:
    """A limit on file sizes fails the same write calls that a full disk would."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run_export(
        "-c", checkpoint_path, "-o", tmp_path / "out", "--backend", "onnxruntime", preexec_fn=limit
    )
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny file system needs root")
@pytest.mark.parametrize("size", ["60k", "400k"])
def test_a_really_full_disk_is_said_and_leaves_nothing(
    checkpoint_path: Path, tmp_path: Path, size: str
) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path], check=False)  # noqa: S607
    if mounted.returncode:
        pytest.skip("this machine does not allow mounts")
    try:
        done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", *FAST)
        assert done.returncode == 1, done.stderr
        assert "the disk is full" in done.stderr
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)  # noqa: S607
