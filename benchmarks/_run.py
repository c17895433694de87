"""Run of the suites of `lnlattennet bench`: each in a process of its own, its record in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lnlattennet.benchmarks._suites import Suite
from lnlattennet.benchmarks.harness._memory import descendants
from lnlattennet.benchmarks.harness._samples import read_record
from lnlattennet.errors import RegressionError, UnavailableError, UsageError

Status = Literal["measured", "skipped", "failed"]

_CANNOT = (UsageError.exit_code, UnavailableError.exit_code)
"""Exit codes of a benchmark that did not begin: something is missing, or is of another checkpoint."""
_UNSTEADY = RegressionError.exit_code
_STDERR = 2
_SECONDS_TO_END = 60
"""After Ctrl-C: a server drains, and the record so far is written."""


@dataclass(frozen=True)
class Outcome:
    """What became of a suite.

    Attributes:
        suite: its name.
        status: "measured", "skipped" or "failed".
        reason: why it was skipped or failed, with the way out, or what to think of the figures; else "".
        seconds: duration.
        command: what was run, to be repeated.
        record: file of the record, or None.
    """

    suite: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    command: tuple[str, ...] = ()
    record: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, the whole record among them."""
        return asdict(self) | {"record": self.record and read_record(self.record)}


def run_suites(
    suites: Iterable[Suite],
    folder: Path,
    given: Mapping[str, str],
    patterns: Sequence[str] = (),
    options: Sequence[tuple[str, str]] = (),
    *,
    quick: bool = False,
    tables_on_stderr: bool = False,
) -> list[Outcome]:
    """Run suites one after the other; tables are printed and records written as each one ends.

    Args:
        suites: what is run.
        folder: gets SUITE.json of every suite that measured something; made if needed.
        given: the bundle and other things that suites need, as far as there are any.
        patterns: shell patterns of cases; suites without cases are skipped.
        options: flags and values for those suites that have them, such as --earlier.
        quick: few rounds.
        tables_on_stderr: leave stdout to the caller.

    Returns:
        An outcome for every suite.

    Raises:
        KeyboardInterrupt: after the suite that ran has ended; records of earlier ones are there.
    """
    outcomes = []
    for suite in suites:
        try:
            command = suite.command(given, patterns, options, quick=quick)
        except UnavailableError as missing:
            outcome = Outcome(suite.name, "skipped", str(missing))
        else:
            sys.stderr.write(f"\n{suite.name}: {suite.summary}\n")
            outcome = _run(suite.name, command, folder / f"{suite.name}.json", tables_on_stderr)
        if outcome.reason:
            sys.stderr.write(f"{suite.name} {outcome.status}: {outcome.reason}\n")
        outcomes.append(outcome)
    return outcomes


def _run(name: str, arguments: Sequence[str], record: Path, tables_on_stderr: bool) -> Outcome:
    command = [sys.executable, "-P", "-m", *arguments, "--output", str(record)]
    record.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    start = time.monotonic()
    # A session of its own: Ctrl-C reaches it through `_end` alone, once.
    with subprocess.Popen(
        command,
        stdout=_STDERR if tables_on_stderr else None,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            last = _pass_on(process)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    seconds = round(time.monotonic() - start, 1)
    reason = last.removeprefix("error: ") if code else ""
    status: Status = "skipped" if code in _CANNOT else "failed"
    if code in (0, _UNSTEADY):
        status = "measured"
    elif not reason:
        reason = f"exit code {code}"
    return Outcome(name, status, reason, seconds, tuple(command), record if record.exists() else None)


def _pass_on(process: subprocess.Popen[str]) -> str:
    """Write what a process writes to stderr to this one's as it comes; return the last line."""
    last = ""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    for line in process.stderr:
        sys.stderr.write(line)
        sys.stderr.flush()
        last = line.strip() or last
    return last


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt a suite and all that it started, and wait until it has ended."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=_SECONDS_TO_END)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        # Servers have sessions of their own, so the group alone would leave them running.
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it had ended
