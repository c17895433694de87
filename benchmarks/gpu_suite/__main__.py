"""`make gpu-suite`: build, test, check and measure the fused op and the network, within ten minutes.

Runs on a bare machine: needs only torch, numpy, pytest and a compiler (nvcc for CUDA). Every step is a
process of its own with a time limit, so a late step is skipped and named, and what was measured is kept.
`--device cpu` walks the same steps with the CPU library: a rehearsal for machines without a GPU.

Exit codes: 0 all steps passed, 1 one failed or ran out of time, 4 no GPU or package, 5 a required ratio is
unsteady. Whether a ratio is reached is printed, and decides nothing.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from lnlattennet.benchmarks.gpu_suite._steps import SECONDS
from lnlattennet.benchmarks.harness._command import main
from lnlattennet.errors import UnavailableError


def run() -> int:
    """Parse the command line, look for the packages, then run the suite; return the exit code."""
    options = _options()
    for package in ("torch", "numpy", "pytest"):
        if find_spec(package) is None:
            raise UnavailableError(
                f"make gpu-suite needs the Python package '{package}', which {sys.executable} lacks: "
                "install it, or name a Python that has it (make gpu-suite PYTHON=...)"
            )
    from lnlattennet.benchmarks.gpu_suite._suite import run_suite

    return run_suite(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make gpu-suite", description="build, test, check and measure the fused op and the network"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cuda by default")
    folder = Path("benchmarks/results")
    parser.add_argument(
        "--results", type=Path, default=folder, help=f"folder of the records; default {folder}"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time for all steps together")
    parser.add_argument("--quick", action="store_true", help="measure few rounds: a rehearsal")
    return parser.parse_args()


if __name__ == "__main__":
    main(run)
