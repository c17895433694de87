"""Steps of a run with a time limit: each in a process of its own, skipped and named if too little is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from lnlattennet.benchmarks.harness._command import say

SECONDS = 570
"""Ten minutes, less the start of Python and the writing of the records."""

PASSED, FAILED, SKIPPED, LATE = "passed", "failed", "skipped", "out of time"
UNSTEADY = "unsteady"
_KEPT_CHARACTERS = 20_000
_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Step:
    """Command with the time that it may take.

    Attributes:
        name: in the summary and in ``needs``.
        command: seconds that the step may take -> command line.
        limit: seconds after which the step is stopped.
        least: seconds below which the step is not begun.
        needs: names of earlier steps that must have passed.
        unavailable: reason why the step cannot run here, or "".
        unsteady_code: exit code of a step that ended but whose figures are unsteady.
    """

    name: str
    command: Callable[[float], Sequence[str]]
    limit: float
    least: float
    needs: tuple[str, ...] = ()
    unavailable: str = ""
    unsteady_code: int | None = None


@dataclass(frozen=True)
class StepResult:
    """Result of a step; ``output`` is the end of what it printed."""

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    command: tuple[str, ...] = ()
    output: str = field(default="", repr=False)


def run_steps(steps: Sequence[Step], seconds: float, environment: Mapping[str, str]) -> list[StepResult]:
    """Run steps in order; none is begun that has too little time left, none outlives its limit.

    Args:
        steps: the most important ones first.
        seconds: time for all steps together.
        environment: variables that every step's process has beside this one's.
    """
    deadline = time.monotonic() + seconds
    results: list[StepResult] = []
    for step in steps:
        left = max(0.0, deadline - time.monotonic())
        reason = _reason_to_skip(step, left, results)
        say(f"\n== {step.name}: {f'skipped, {reason}' if reason else f'{left:.0f} s left'}")
        results.append(StepResult(step.name, SKIPPED, reason) if reason else _run(step, left, environment))
    return results


def _reason_to_skip(step: Step, left: float, results: Sequence[StepResult]) -> str:
    if step.unavailable:
        return step.unavailable
    for result in results:
        if result.name in step.needs and result.status != PASSED:
            return f"it needs '{result.name}', which is {result.status}"
    return f"only {left:.0f} s are left and it needs {step.least:.0f}" if left < step.least else ""


def _run(step: Step, left: float, environment: Mapping[str, str]) -> StepResult:
    limit = min(left, step.limit)
    command, started = tuple(step.command(limit)), time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    lines: list[str] = []
    reader = threading.Thread(target=_echo, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        process.wait(limit)
        reader.join(_GRACE_SECONDS)
        status, reason = _status(step, process.returncode, lines)
    except subprocess.TimeoutExpired:
        status, reason = LATE, f"stopped after {limit:.0f} s"
    finally:
        _end(process)
        reader.join(_GRACE_SECONDS)
    took = time.monotonic() - started
    return StepResult(step.name, status, reason, round(took, 1), command, "".join(lines)[-_KEPT_CHARACTERS:])


def _status(step: Step, code: int, lines: Sequence[str]) -> tuple[str, str]:
    if code == 0:
        return PASSED, ""
    if code == step.unsteady_code:
        return UNSTEADY, "measured, but some required ratios are too unsteady to state"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    return FAILED, f"exit code {code}: {last}"


def _end(process: subprocess.Popen[str]) -> None:
    """End what is left of a step's process group, which nothing else shares."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _echo(stream: IO[str], lines: list[str]) -> None:
    # Closed here: a process that left the group may keep the pipe open, and must not hold up the suite.
    with stream:
        for line in stream:
            lines.append(line)
            sys.stderr.write(line)
            sys.stderr.flush()
