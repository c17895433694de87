"""`make gpu-suite`: its steps end in time, late ones are named, and without a GPU it says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from lnlattennet.benchmarks.gpu_suite import _steps as steps
from lnlattennet.benchmarks.gpu_suite import _suite as suite
from lnlattennet.benchmarks.gpu_suite._steps import Step, StepResult, run_steps
from tests.commands import call_module

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("module", "arguments"),
    [("gpu_suite", ()), ("attention", ("--device", "cuda")), ("network", ("--device", "cuda"))],
)
def test_without_a_gpu_the_answer_is_exit_code_4_and_one_line(module: str, arguments: tuple[str]) -> None:
    done = call_module(f"lnlattennet.benchmarks.{module}", *arguments)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "NVIDIA GPU" in done.stderr


def test_a_missing_package_is_named_in_one_line() -> None:
    # -S hides site-packages: a Python without torch.
    command = [sys.executable, "-S", "-m", "lnlattennet.benchmarks.gpu_suite"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "'torch'" in done.stderr


def test_its_help_needs_no_package() -> None:
    command = [sys.executable, "-S", "-m", "lnlattennet.benchmarks.gpu_suite", "--help"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "--seconds" in done.stdout


def test_a_bare_machine_needs_no_other_package() -> None:
    modules = (
        "gpu_suite._suite",
        "attention.__main__",
        "attention._sanitize",
        "network.__main__",
    )
    others = {
        "rich",
        "typer",
        "pydantic",
        "packaging",
        "PIL",
        "hypothesis",
        "lightning",
        "onnx",
        "onnxruntime",
        "safetensors",
    }
    code = (
        f"import sys; [__import__('lnlattennet.benchmarks.' + m) for m in {modules}]; "
        f"print({others} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def python_step(name: str, code: str, **options: Any) -> Step:
    defaults = {"limit": 30, "least": 0.1}
    return Step(name, lambda _: [sys.executable, "-c", code], **(defaults | options))


def test_steps_pass_fail_and_wait_for_what_they_need() -> None:
    results = run_steps(
        [
            python_step("good", "import os; print(os.environ['GREETING'])"),
            python_step("bad", "print('why'); raise SystemExit(3)"),
            python_step("shaky", "raise SystemExit(5)", unsteady_code=5),
            python_step("after bad", "", needs=("good", "bad")),
            python_step("not here", "", unavailable="no such tool"),
        ],
        60,
        {"GREETING": "hello"},
    )
    assert [result.status for result in results] == ["passed", "failed", "unsteady", "skipped", "skipped"]
    assert results[0].output == "hello\n"
    assert results[1].reason == "exit code 3: why"
    assert "'bad', which is failed" in results[3].reason
    assert results[4].reason == "no such tool"
    assert suite.exit_code(results) == 1
    assert suite.exit_code(results[:1] + results[2:]) == 5
    assert suite.exit_code(results[:1] + results[3:]) == 0


def test_a_late_step_is_stopped_with_its_children_and_the_next_ones_are_skipped(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    child = f"import pathlib, time; time.sleep(4); pathlib.Path({str(mark)!r}).touch()"
    slow = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    late, skipped = run_steps([python_step("slow", slow), python_step("next", "", least=5)], 1.5, {})
    assert (late.status, skipped.status) == (steps.LATE, steps.SKIPPED)
    assert "only 0 s are left" in skipped.reason
    time.sleep(max(0, started + 5 - time.monotonic()))
    assert not mark.exists()


def test_a_step_learns_how_much_time_it_has() -> None:
    (result,) = run_steps([Step("tell", lambda left: ["echo", f"{left:.0f}"], limit=7, least=1)], 60, {})
    assert result.output == "7\n"


def test_the_suite_measures_last_the_op_and_then_the_network(tmp_path: Path) -> None:
    records = {step: tmp_path / f"{step}.json" for step in (suite.ATTENTION, suite.NETWORK)}
    for device in ("cpu", "cuda"):
        plan = suite.suite_steps(device, records, quick=False)
        names = ["build", "tests", "memcheck", "racecheck", "attention", "network"]
        assert [step.name for step in plan] == names
        for step in plan[4:]:
            assert f"--device={device}" in step.command(300)
            assert "--time-limit=270" in step.command(300)
            assert f"--output={records[step.name]}" in step.command(300)
        assert sum(step.limit for step in plan[:4]) + sum(step.least for step in plan[4:]) < steps.SECONDS
        # A usual run leaves time for the network: the op does not take all that is left.
        assert plan[4].limit < steps.SECONDS / 1.5
    assert "CUDA only" in suite.suite_steps("cpu", records, quick=True)[2].unavailable


def test_a_summary_without_a_measurement_says_so() -> None:
    text = suite.summary([StepResult("build", steps.FAILED, "exit code 1: no nvcc")], {})
    assert "exit code 1: no nvcc" in text
    assert "nothing was measured" in text


def test_a_summary_has_the_figures_of_every_record_that_was_written() -> None:
    row = {"text": "over eager", "case": "fp16/b1", "state": "", "bound": 1.0, "upper": False, "value": 2.5,
           "interval": [2.4, 2.6], "status": "reached"}  # fmt: skip
    record = {"requirements": [row], "skipped": ["bf16/b64"]}
    text = suite.summary([StepResult("network", steps.PASSED)], {suite.NETWORK: record})
    assert "attention: nothing was measured" in text
    assert "2.40 - 2.60" in text
    assert "network: no time left for bf16/b64" in text
