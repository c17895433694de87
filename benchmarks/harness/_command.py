"""Command line of the benchmarks: options, progress on stderr, and the record on stdout or in a file.

It needs the standard library only: a GPU machine may have torch and little else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lnlattennet._command import run_app
from lnlattennet.errors import UsageError

if TYPE_CHECKING:
    from lnlattennet.benchmarks.harness._record import Record

DEMO = Path("checkpoints/demo.safetensors")
"""The checkpoint that is measured where none is named."""


def main(command: Callable[[], int]) -> NoReturn:
    """Run a benchmark and exit with the code that it returns, or with that of its error."""
    run_app(lambda: sys.exit(command()))


def say(line: str) -> None:
    """Write a line of progress to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def option_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has.

    Args:
        module: the benchmark's module, below ``lnlattennet.benchmarks``.
        description: the module's docstring, of which the first line is shown.
    """
    program = f"python -m lnlattennet.benchmarks.{module}"
    parser = argparse.ArgumentParser(prog=program, description=description.partition("\n")[0])
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write the record to this file")
    parser.add_argument("--json", action="store_true", help="print the record as JSON on stdout")
    return parser


def add_count(parser: argparse.ArgumentParser, flag: str, default: int, minimum: int, text: str) -> None:
    """Add an option whose value is an integer that is not smaller than ``minimum``."""

    def count(value: str) -> int:
        if int(value) < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {value}")
        return int(value)

    parser.add_argument(flag, type=count, default=default, metavar="N", help=f"{text}; default {default}")


def add_cases(parser: argparse.ArgumentParser, pattern: str) -> None:
    """Add the option that chooses cases; ``pattern`` is an example."""
    text = f"only these cases, e.g. '{pattern}'; repeatable"
    parser.add_argument("--case", action="append", default=[], metavar="PATTERN", help=text)


def choose_names(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match any of the shell patterns; without a pattern, all.

    Raises:
        UsageError: a pattern matches nothing.
    """
    known = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise UsageError(f"--case {pattern} matches none of: {', '.join(known)}")
    return [name for name in known if not patterns or any(fnmatchcase(name, p) for p in patterns)]


def python_interpreter(value: str) -> Path:
    """Return the path of a Python that a command line names.

    Raises:
        ArgumentTypeError: there is none.
    """
    if found := shutil.which(value):
        return Path(found)
    raise argparse.ArgumentTypeError(f"must be a Python that can be started, got {value}")


def add_earlier(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the option that names the Python of an environment with an earlier version of this package."""
    text = "Python of an environment with an earlier version"
    parser.add_argument("--earlier", type=python_interpreter, metavar="PYTHON", required=required, help=text)


def report(record: Record, tables: str, options: argparse.Namespace) -> None:
    """Write the record to ``--output``, and print the tables, or with ``--json`` the record.

    A machine that was not quiet is told on stderr.
    """
    if options.output:
        record.write(options.output)
        say(f"every sample: {options.output}")
    if record.skipped:
        say(f"no time left for {', '.join(record.skipped)}")
    if warning := record.load.warning():
        say(warning)
    # With --json, stdout has nothing but the document.
    (sys.stderr if options.json else sys.stdout).write(f"{tables}\n")
    if options.json:
        sys.stdout.write(json.dumps(record.to_json()) + "\n")
