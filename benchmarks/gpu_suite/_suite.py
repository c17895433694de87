"""Steps of `make gpu-suite`, and their summary."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lnlattennet._atomic import replace_file
from lnlattennet.benchmarks.gpu_suite._steps import (
    FAILED,
    LATE,
    SECONDS,
    UNSTEADY,
    Step,
    StepResult,
    run_steps,
)
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._experiment import UNSTEADY_EXIT_CODE
from lnlattennet.benchmarks.harness._hardware import gpu_name, machine_facts
from lnlattennet.benchmarks.harness._record import RequirementResult
from lnlattennet.benchmarks.harness._tables import aligned, requirement_table
from lnlattennet.errors import UnavailableError

BUILD, TESTS, ATTENTION, NETWORK = "build", "tests", "attention", "network"
_BENCHMARKS = (ATTENTION, NETWORK)
"""Steps that measure: each runs the benchmark of this name, and its record's name ends with it."""
_BUILD = "from lnlattennet.kernels._loader import compiled_target; print(compiled_target({!r}))"
"""`lnlattennet kernels build`, without the packages that the command needs."""
# No conftest.py and no pyproject.toml: they need packages that a bare machine lacks. A test file that does
# so too is an error, but must not keep the others from running on the GPU.
_PYTEST = ("-m", "pytest", "-c", "/dev/null", "--rootdir=.", "--noconftest", "-p", "no:cacheprovider", "-q",
           "--continue-on-collection-errors")  # fmt: skip


def suite_steps(device: str, records: Mapping[str, Path], *, quick: bool) -> list[Step]:
    """Return the steps; the measurements are last: of the op, then of the network with the time that is left.

    Args:
        device: "cpu" or "cuda".
        records: where ``ATTENTION`` and ``NETWORK`` write their records.
        quick: measure a few rounds only.
    """
    missing = "" if shutil.which("compute-sanitizer") else "compute-sanitizer is not on PATH"
    if device == "cpu":
        missing = "compute-sanitizer checks CUDA only (`make test` runs the CPU kernels with ASan and UBSan)"

    def sanitize(tool: str) -> Step:
        options = ["--tool", tool, "--error-exitcode", "1"]
        command = ["compute-sanitizer", *options, *_module("attention._sanitize")]
        return Step(tool, lambda _: command, limit=75, least=20, needs=(BUILD,), unavailable=missing)

    def measure(name: str, limit: float, least: float) -> Step:
        def command(seconds: float) -> list[str]:
            # The record holds every case that is done; leave time for the one under way.
            left = f"--time-limit={max(seconds - 30, 1):.0f}"
            options = [f"--device={device}", left, f"--output={records[name]}"]
            return [*_module(name), *options, *(["--quick"] if quick else [])]

        return Step(name, command, limit, least, needs=(BUILD,), unsteady_code=UNSTEADY_EXIT_CODE)

    marks = "gpu" if device == "cuda" else "not gpu and not slow"
    build = [sys.executable, "-P", "-c", _BUILD.format(device)]
    tests = [sys.executable, *_PYTEST, "-m", marks, "tests/kernels"]
    return [
        Step(BUILD, lambda _: build, limit=180, least=10),
        Step(TESTS, lambda _: tests, limit=150, least=20, needs=(BUILD,)),
        sanitize("memcheck"),
        sanitize("racecheck"),
        measure(ATTENTION, limit=240, least=45),
        measure(NETWORK, limit=SECONDS, least=40),
    ]


def run_suite(options: argparse.Namespace) -> int:
    """Run the suite with the options of the command line; return the exit code."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(
            "make gpu-suite needs an NVIDIA GPU and a CUDA build of torch, and found none, so nothing is "
            "measured (SUITE='--device cpu' rehearses the steps with the CPU library)"
        )
    machine = gpu_name() if options.device == "cuda" else "cpu"
    begin = f"{datetime.now(UTC):%Y-%m-%d}-{machine}"
    records = {step: options.results / f"{begin}-{step}.json" for step in _BENCHMARKS}
    steps = suite_steps(options.device, records, quick=options.quick)
    facts = machine_facts(options.device)
    for record in records.values():
        # An older record of the same day is not what this run measured.
        record.unlink(missing_ok=True)
    results = run_steps(steps, options.seconds, {"PYTHONUNBUFFERED": "1"})
    document = {"benchmark": "gpu-suite", "machine": facts, "seconds": options.seconds,
                "steps": [dataclasses.asdict(result) for result in results]}  # fmt: skip
    report = options.results / f"{begin}-suite.json"
    with replace_file(report) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n")
    written = [path for path in records.values() if path.exists()]
    measured = {step: json.loads(path.read_text()) for step, path in records.items() if path in written}
    sys.stdout.write(summary(results, measured))
    say(f"records: {', '.join(map(str, [report, *written]))}")
    return exit_code(results)


def summary(results: Sequence[StepResult], records: Mapping[str, dict[str, Any]]) -> str:
    """Return the status of every step and of every requirement, as text; records are by step."""
    rows = [("step", "status", "seconds", "reason")]
    rows += [(item.name, item.status, f"{item.seconds:.0f}", item.reason) for item in results]
    parts = [aligned(rows)]
    for step in _BENCHMARKS:
        if step not in records:
            parts.append(f"{step}: nothing was measured, so no requirement is checked")
            continue
        parts.append(requirement_table(RequirementResult(**row) for row in records[step]["requirements"]))
        if records[step]["skipped"]:
            parts.append(f"{step}: no time left for {', '.join(records[step]['skipped'])}")
    return "\n" + "\n\n".join(parts) + "\n"


def exit_code(results: Sequence[StepResult]) -> int:
    """Return 1 if a step failed or was stopped, 5 if figures are unsteady, else 0; skipped ones are named."""
    statuses = {result.status for result in results}
    if statuses & {FAILED, LATE}:
        return 1
    return UNSTEADY_EXIT_CODE if UNSTEADY in statuses else 0


def _module(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"lnlattennet.benchmarks.{name}"]
