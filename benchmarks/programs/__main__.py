"""Whole programs, from the bytes of a photograph to the expression, each in a process of its own.

    python -m lnlattennet.benchmarks.programs build/auto
    python -m lnlattennet.benchmarks.programs build/auto --program fer=FER/bin/python

The programs of other packages need environments of their own, since their requirements clash. All take turns
on the same photograph, with every core and with one; a first answer counts from the start of the process. The
record names every program that was not measured, with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, python_interpreter, report
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._tables import aligned, comparison_table, requirement_table
from lnlattennet.benchmarks.programs._measure import ALL_CORES, measure
from lnlattennet.benchmarks.programs._programs import NEED_DOWNLOADS, OURS, PROGRAMS


def program_table(record: Record) -> str:
    """Return each program's release, answer and memory, and the reasons for those left out."""
    rows = [("program", "release", "answer", "memory, MB")]
    memory = record.facts["memory_bytes"][ALL_CORES]
    for name, facts in record.facts["answers"].items():
        megabytes = np.median(memory[name]) / 1e6
        rows.append((name, facts["version"], facts["expression"], f"{megabytes:.0f}"))
    results = record.cases[0].candidates
    reasons = [f"{name} is left out: {result.failed}" for name, result in results.items() if result.failed]
    return "\n".join([aligned(rows), *reasons])


def program(text: str) -> tuple[str, Path]:
    """Read NAME=PYTHON.

    Raises:
        ArgumentTypeError: NAME is no program of another package, or PYTHON cannot be started.
    """
    name, _, python = text.partition("=")
    known = [name for name in PROGRAMS if name != OURS]
    if name not in known:
        reason = f"; {NEED_DOWNLOADS[name]}" if name in NEED_DOWNLOADS else ""
        raise argparse.ArgumentTypeError(f"must be NAME=PYTHON with a NAME of {', '.join(known)}{reason}")
    return name, python_interpreter(python)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("programs", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    text = "Python of an environment with another program's package, such as fer=fer/bin/python; repeatable"
    parser.add_argument(
        "--program", type=program, action="append", default=[], metavar="NAME=PYTHON", help=text
    )
    add_count(parser, "--starts", 5, 1, "processes of each program, one after the other")
    add_count(parser, "--rounds", 20, 1, "counted answers of each process after its first")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, dict(options.program), options.starts, options.rounds)
    times = comparison_table(record.cases, OURS, "ms", 1e3)
    tables = [times, program_table(record), requirement_table(record.requirements)]
    report(record, "\n\n".join(tables), options)
    return 0


if __name__ == "__main__":
    main(run)
