"""The whole network as an AOTInductor package with the fused op, against its rivals, in one interleaved run.

    python -m lnlattennet.benchmarks.torch_engines                       # CPU: a rehearsal
    python -m lnlattennet.benchmarks.torch_engines --device cuda --json  # GPU; one JSON document on stdout

Rivals: torch eager, `torch.compile` in its max-autotune mode, ONNX Runtime and TensorRT or TensorRT-RTX; one
that cannot be had is named in the record with its reason. Outputs are compared with the float32 network
first; then all take turns in random order, and every sample is kept. On a GPU each is a CUDA graph, timed by
events, with images and outputs on the GPU. Weights are random: no file is needed. Needs torch and numpy;
ONNX Runtime and TensorRT need this project's `export` extra too.

Exit codes: 0 measured, 1 AOTInductor failed or is wrong, 2 bad usage, 4 no such device, 5 a required ratio
is unsteady. Whether a ratio is reached is printed, and decides nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lnlattennet import __version__
from lnlattennet.atomic import replace_file
from lnlattennet.benchmarks import bare_command
from lnlattennet.benchmarks.bare_command import say
from lnlattennet.benchmarks.kernel_measurement import Settings
from lnlattennet.benchmarks.kernel_requirements import unsteady
from lnlattennet.benchmarks.kernel_rivals import compiled_kernel
from lnlattennet.benchmarks.kernel_tables import requirement_table
from lnlattennet.benchmarks.kernels import UNSTABLE
from lnlattennet.benchmarks.machine import machine_facts
from lnlattennet.benchmarks.torch_engine_cases import EngineCase, choose_engine_cases, engine_cases
from lnlattennet.benchmarks.torch_engine_measurement import measure_engines
from lnlattennet.benchmarks.torch_engine_tables import (
    cases_without_aoti,
    engine_requirement_rows,
    engine_table,
)
from lnlattennet.errors import UnavailableError, UsageError
from lnlattennet.model.config import NetworkConfig

_PACKAGES = ("triton", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt_rtx", "onnx")


def torch_engines_record(
    settings: Settings, cases: Sequence[EngineCase], config: NetworkConfig, output: Path | None
) -> dict[str, Any]:
    """Measure cases; return the record with every sample, written after each case: a late stop loses one.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("--device cuda needs an NVIDIA GPU and a CUDA build of torch; found none")
    torch.set_num_threads(settings.threads)
    record: dict[str, Any] = {
        "benchmark": "torch-engines",
        "lnlattennet": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": settings.device,
        "kernel": compiled_kernel(settings.device),
        "network": config.to_dict() | {"weights": "random"},
        "quick": settings.quick,
        "machine": machine_facts(settings.device),
        "packages": _versions(),
    }
    started = time.monotonic()
    for _ in measure_engines(settings, cases, config, record):
        record["seconds"] = round(time.monotonic() - started, 1)
        record["load_average_at_end"] = os.getloadavg()[0]
        record["requirements"] = engine_requirement_rows(record)
        if output:
            with replace_file(output) as temporary:
                temporary.write_text(json.dumps(record) + "\n")
    return record


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lnlattennet.benchmarks.torch_engines",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's, by default")
    parser.add_argument(
        "--case", action="append", default=[], metavar="PATTERN", help="only these, e.g. 'fp16/*'; repeatable"
    )
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
    cases = choose_engine_cases(engine_cases(options.device), options.case)
    settings = Settings(options.device, options.threads, options.quick, options.time_limit)
    record = torch_engines_record(settings, cases, NetworkConfig(), options.output)
    if options.output:
        say(f"every sample: {options.output}")
    if record["skipped"]:
        say(f"no time left for {', '.join(record['skipped'])}")
    tables = f"{engine_table(record)}\n\n{requirement_table(record)}\n"
    # One document on stdout: beside it, the tables are for the person who watches.
    (sys.stderr if options.json else sys.stdout).write(tables)
    if options.json:
        sys.stdout.write(json.dumps(record) + "\n")
    return exit_code(record)


def exit_code(record: dict[str, Any]) -> int:
    """Say what went wrong; return 1 if AOTInductor failed in a case, 5 if a ratio is unsteady, else 0."""
    failures = cases_without_aoti(record)
    if failures:
        say(f"error: AOTInductor was not measured; {'; '.join(failures)}")
        return 1
    # A few rounds are never steady.
    names = [] if record["quick"] else unsteady(record)
    if names:
        say(f"unsteady, so not to be relied on (run again on a quieter machine): {'; '.join(names)}")
    return UNSTABLE if names else 0


def _versions() -> dict[str, str]:
    """Return the versions of what rivals need beside torch, as far as it is installed."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    bare_command.main(run)
