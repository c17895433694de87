"""The fused per-region attention against its rivals, in one interleaved run.

    python -m lnlattennet.benchmarks.kernels                       # CPU; a table
    python -m lnlattennet.benchmarks.kernels --device cuda --json  # GPU; one JSON document on stdout

Every rival's outputs are compared with a float64 reference first. Then all of them take turns in random
order, with the input in the cache ("warm") and with inputs that together exceed it ("cold"); every sample
is kept. On a GPU each is a CUDA graph, timed by events. Timing never decides success: exit code 5 only says
that a required ratio was too unsteady to state. Needs torch and numpy, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lnlattennet import __version__
from lnlattennet.atomic import replace_file
from lnlattennet.benchmarks import bare_command
from lnlattennet.benchmarks.bare_command import say
from lnlattennet.benchmarks.kernel_cases import Case, choose_cases, cpu_cases, cuda_cases
from lnlattennet.benchmarks.kernel_measurement import Settings, measure_cases
from lnlattennet.benchmarks.kernel_requirements import requirement_rows, unsteady
from lnlattennet.benchmarks.kernel_rivals import compiled_kernel
from lnlattennet.benchmarks.kernel_tables import case_table, requirement_table
from lnlattennet.benchmarks.machine import machine_facts
from lnlattennet.errors import UnavailableError, UsageError

UNSTABLE = 5
"""Exit code of a benchmark whose figures cannot be relied on."""


def kernels_record(settings: Settings, cases: Sequence[Case], output: Path | None) -> dict[str, Any]:
    """Measure cases; return the record with every sample, written after each case: a late stop loses one.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
        LnlAttenNetError: the fused op gave wrong outputs.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("--device cuda needs an NVIDIA GPU and a CUDA build of torch; found none")
    torch.set_num_threads(settings.threads)
    record: dict[str, Any] = {
        "benchmark": "kernels",
        "lnlattennet": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": settings.device,
        "kernel": compiled_kernel(settings.device),
        "quick": settings.quick,
        "machine": machine_facts(settings.device),
    }
    started = time.monotonic()
    for _ in measure_cases(settings, cases, record):
        record["seconds"] = round(time.monotonic() - started, 1)
        record["load_average_at_end"] = os.getloadavg()[0]
        record["requirements"] = requirement_rows(record)
        if output:
            with replace_file(output) as temporary:
                temporary.write_text(json.dumps(record) + "\n")
    return record


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lnlattennet.benchmarks.kernels", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's, by default")
    parser.add_argument(
        "--case", action="append", default=[], metavar="PATTERN", help="only these, e.g. '*/b8'; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print the cases' names and stop")
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs, not how fast")
    parser.add_argument("--time-limit", type=float, default=float("inf"), metavar="SECONDS",
                        help="begin no case that may not end in time; skipped ones are named")  # fmt: skip
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write the record here")
    parser.add_argument("--json", action="store_true", help="print the record as JSON on stdout")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        raise UsageError(f"--threads must be at least 1, got {options.threads}")
    return options


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    options = parse_arguments(arguments)
    all_cases = cuda_cases() if options.device == "cuda" else cpu_cases()
    cases = choose_cases(all_cases, options.case)
    if options.list:
        sys.stdout.write("".join(f"{case.name}\n" for case in cases))
        return 0
    settings = Settings(options.device, options.threads, options.quick, options.time_limit)
    record = kernels_record(settings, cases, options.output)
    if options.output:
        say(f"every sample: {options.output}")
    if record["skipped"]:
        say(f"no time left for {', '.join(record['skipped'])}")
    tables = f"{case_table(record)}\n\n{requirement_table(record)}\n"
    # One document on stdout: beside it, the tables are for the person who watches.
    (sys.stderr if options.json else sys.stdout).write(tables)
    if options.json:
        sys.stdout.write(json.dumps(record) + "\n")
    # A few rounds are never steady.
    names = [] if options.quick else unsteady(record)
    if names:
        say(f"unsteady, so not to be relied on (run again on a quieter machine): {'; '.join(names)}")
    return UNSTABLE if names else 0


if __name__ == "__main__":
    bare_command.main(run)
