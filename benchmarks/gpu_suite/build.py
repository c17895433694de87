"""Build the compiled op and load it, without the packages that `lnlattennet kernels build` needs.

python -m lnlattennet.benchmarks.gpu_suite.build cuda
"""

from __future__ import annotations

import sys

from lnlattennet.benchmarks.attention._candidates import compiled_kernel
from lnlattennet.benchmarks.harness import _command as bare_command
from lnlattennet.benchmarks.harness._command import say


def run() -> int:
    """Build and load what the first argument names, "cpu" or "cuda"."""
    device = sys.argv[1]
    say(f"the {device} kernels are there, for {compiled_kernel(device)}")
    return 0


if __name__ == "__main__":
    bare_command.main(run)
