"""The fused per-region attention beside other formulations, in one interleaved run.

    python -m lnlattennet.benchmarks.attention                       # CPU; a table
    python -m lnlattennet.benchmarks.attention --device cuda --json  # GPU; one JSON document on stdout

Every candidate's outputs are compared with a float64 reference first. Then all of them take turns in random
order, with the input in the cache ("warm") and with inputs that together exceed it ("cold"); every sample
is kept. On a GPU each is a CUDA graph, timed by events. Timing never decides success: exit code 5 only says
that a required ratio was too unsteady to state. Needs torch and numpy, nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lnlattennet.benchmarks.attention._candidates import FUSED
from lnlattennet.benchmarks.attention._cases import cpu_cases, cuda_cases
from lnlattennet.benchmarks.attention._measure import measure
from lnlattennet.benchmarks.harness._command import main, report
from lnlattennet.benchmarks.harness._experiment import (
    case_parser,
    choose_cases,
    read_settings,
    steadiness_code,
)
from lnlattennet.benchmarks.harness._tables import requirement_table, timing_table


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = case_parser("attention", __doc__ or "", "*/b8")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    options = parser.parse_args(arguments)
    cases = choose_cases(cuda_cases() if options.device == "cuda" else cpu_cases(), options.case)
    if options.list:
        sys.stdout.write("".join(f"{case.name}\n" for case in cases))
        return 0
    record = measure(read_settings(options), cases, options.output)
    report(record, f"{timing_table(record, FUSED)}\n\n{requirement_table(record.requirements)}", options)
    return steadiness_code(record)


if __name__ == "__main__":
    main(run)
