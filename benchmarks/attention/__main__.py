"""The fused per-region attention against its rivals, in one interleaved run.

    python -m lnlattennet.benchmarks.attention                       # CPU; a table
    python -m lnlattennet.benchmarks.attention --device cuda --json  # GPU; one JSON document on stdout

Every rival's outputs are compared with a float64 reference first. Then all of them take turns in random
order, with the input in the cache ("warm") and with inputs that together exceed it ("cold"); every sample
is kept. On a GPU each is a CUDA graph, timed by events. Timing never decides success: exit code 5 only says
that a required ratio was too unsteady to state. Needs torch and numpy, nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.attention._cases import Case, cpu_cases, cuda_cases
from lnlattennet.benchmarks.attention._measure import Settings, measure_cases
from lnlattennet.benchmarks.attention._tables import case_table, requirement_table
from lnlattennet.benchmarks.attention._targets import requirement_rows
from lnlattennet.benchmarks.harness import _command as bare_command
from lnlattennet.benchmarks.harness._record import (
    choose_cases,
    measured_record,
    option_parser,
    print_record,
    read_options,
    steadiness_code,
)


def kernels_record(settings: Settings, cases: Sequence[Case], output: Path | None) -> dict[str, Any]:
    """Measure cases; see ``measured_record``.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
        LnlAttenNetError: the fused op gave wrong outputs.
    """
    measure = partial(measure_cases, settings, cases)
    return measured_record({"benchmark": "kernels"}, settings, measure, requirement_rows, output)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("lnlattennet.benchmarks.attention", __doc__ or "", "*/b8")
    parser.add_argument("--list", action="store_true", help="print the cases' names and stop")
    options, settings = read_options(parser, arguments)
    cases = choose_cases(cuda_cases() if options.device == "cuda" else cpu_cases(), options.case)
    if options.list:
        sys.stdout.write("".join(f"{case.name}\n" for case in cases))
        return 0
    record = kernels_record(settings, cases, options.output)
    print_record(record, f"{case_table(record)}\n\n{requirement_table(record)}\n", options)
    return steadiness_code(record)


if __name__ == "__main__":
    bare_command.main(run)
