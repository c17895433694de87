"""What the benchmarks of a bare machine share: their options, their record, and how they end."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from lnlattennet import __version__
from lnlattennet._atomic import replace_file
from lnlattennet.benchmarks.attention._candidates import compiled_kernel
from lnlattennet.benchmarks.attention._measure import Settings
from lnlattennet.benchmarks.attention._targets import unsteady
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._hardware import machine_facts
from lnlattennet.errors import UnavailableError, UsageError

UNSTABLE = 5
"""Exit code of a benchmark whose figures cannot be relied on."""

Record = dict[str, Any]


class NamedCase(Protocol):
    """What is measured."""

    @property
    def name(self) -> str:
        """How ``--case`` and the records call it."""


C = TypeVar("C", bound=NamedCase)


def choose_cases(cases: Sequence[C], patterns: Sequence[str]) -> list[C]:
    """Return the cases whose names match any pattern, `*` standing for anything; all without a pattern.

    Raises:
        UsageError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(case.name, pattern) for case in cases):
            known = ", ".join(case.name for case in cases)
            raise UsageError(f"--case {pattern} matches none of: {known}")
    return [case for case in cases if not patterns or any(fnmatchcase(case.name, p) for p in patterns)]


def option_parser(module: str, description: str, pattern: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every such benchmark has; ``pattern`` is an example of a case's."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's, by default")
    parser.add_argument(
        "--case",
        action="append",
        default=[],
        metavar="PATTERN",
        help=f"only these, e.g. '{pattern}'; repeatable",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs, not how fast")
    parser.add_argument("--time-limit", type=float, default=float("inf"), metavar="SECONDS",
                        help="begin no case that may not end in time; skipped ones are named")  # fmt: skip
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write the record here")
    parser.add_argument("--json", action="store_true", help="print the record as JSON on stdout")
    return parser


def read_options(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> tuple[argparse.Namespace, Settings]:
    """Read the command line; raises UsageError."""
    options = parser.parse_args(arguments)
    if options.threads < 1:
        raise UsageError(f"--threads must be at least 1, got {options.threads}")
    return options, Settings(options.device, options.threads, options.quick, options.time_limit)


def measured_record(
    facts: Mapping[str, Any],
    settings: Settings,
    measure: Callable[[Record], Iterable[object]],
    requirements: Callable[[Record], list[Record]],
    output: Path | None,
) -> Record:
    """Measure cases; return the record with every sample, written after each case: a late stop loses one.

    Args:
        facts: what only this benchmark's record says, its name first.
        settings: device, threads and rounds.
        measure: enters a case into the record at each step.
        requirements: what the record so far says of the required ratios.
        output: the record's file, if it is to be written.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("--device cuda needs an NVIDIA GPU and a CUDA build of torch; found none")
    torch.set_num_threads(settings.threads)
    record = {
        **facts,
        "lnlattennet": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": settings.device,
        "kernel": compiled_kernel(settings.device),
        "quick": settings.quick,
        "machine": machine_facts(settings.device),
    }
    started = time.monotonic()
    for _ in measure(record):
        record["seconds"] = round(time.monotonic() - started, 1)
        record["load_average_at_end"] = os.getloadavg()[0]
        record["requirements"] = requirements(record)
        if output:
            with replace_file(output) as temporary:
                temporary.write_text(json.dumps(record) + "\n")
    return record


def print_record(record: Record, tables: str, options: argparse.Namespace) -> None:
    """Print the tables, and with `--json` the record; say what was not measured."""
    if options.output:
        say(f"every sample: {options.output}")
    if record["skipped"]:
        say(f"no time left for {', '.join(record['skipped'])}")
    # One document on stdout: beside it, the tables are for the person who watches.
    (sys.stderr if options.json else sys.stdout).write(tables)
    if options.json:
        sys.stdout.write(json.dumps(record) + "\n")


def steadiness_code(record: Record) -> int:
    """Name the required ratios that are unsteady; return the exit code, 5 if there are any, else 0."""
    # A few rounds are never steady.
    names = [] if record["quick"] else unsteady(record)
    if names:
        say(f"unsteady, so not to be relied on (run again on a quieter machine): {'; '.join(names)}")
    return UNSTABLE if names else 0
