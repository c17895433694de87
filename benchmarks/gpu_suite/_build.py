"""Build the compiled op and load it, without the packages that `lnlattennet kernels build` needs."""

from __future__ import annotations

import argparse

from lnlattennet.benchmarks.harness._command import main, say
from lnlattennet.kernels._loader import compiled_target


def run() -> int:
    """Build and load the kernels of a device."""
    parser = argparse.ArgumentParser(prog="python -m lnlattennet.benchmarks.gpu_suite._build")
    parser.add_argument("device", choices=("cpu", "cuda"))
    device = parser.parse_args().device
    say(f"the {device} kernels are there, for {compiled_target(device)}")
    return 0


if __name__ == "__main__":
    main(run)
