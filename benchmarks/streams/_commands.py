"""Commands that take turns, each from its start to its end, and the processor time of all their processes."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.errors import LnlAttenNetError

ALL_CORES, ONE_AT_A_TIME = "all cores", "one at a time"

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what a command leaves becomes a child of this process, whose time counts."""


def predict_command(python: Path | None, sources: Sequence[Path], bundle: Path, output: Path) -> list[str]:
    """Return `lnlattennet predict` by an interpreter, by default this one."""
    program = [str(python or sys.executable), "-P", "-m", "lnlattennet", "predict", *map(str, sources)]
    return [*program, "--bundle", str(bundle.resolve()), "--output", str(output), "-q"]


def measure_turns(
    record: Record, case: str, images: int, commands: Mapping[str, Sequence[str]], output: Path, rounds: int
) -> ExperimentResult:
    """Let each command run in turn, ``rounds`` times, and add a case with its seconds for an image.

    Args:
        record: gets the case, and as a fact the processor seconds for an image.
        case: its name.
        images: how many each command judges.
        commands: candidate -> command.
        output: table that they write, removed before each.
        rounds: counted runs of each.

    Raises:
        LnlAttenNetError: a command failed.
    """
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    processor: dict[str, list[float]] = {name: [] for name in commands}
    turns = {name: partial(_run, command, output, processor[name]) for name, command in commands.items()}
    seconds = interleave(turns, rounds)
    record.facts.setdefault("processor_seconds_per_image", {})[case] = {
        name: [round(value / images, 6) for value in values] for name, values in processor.items()
    }
    per_image = {name: [value / images for value in values] for name, values in seconds.items()}
    result = ExperimentResult(case, {"images": images}, warm_results(per_image))
    record.add(result)
    return result


def _run(command: Sequence[str], output: Path, processor: list[float]) -> float:
    output.unlink(missing_ok=True)
    before, start = _processor_seconds(), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise LnlAttenNetError(f"{command[0]} failed:\n{done.stderr}")
    _wait_for_all()
    processor.append(_processor_seconds() - before)
    return seconds


def _wait_for_all() -> None:
    """Wait for the processes that a command left behind for a moment, such as the server of its workers."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
