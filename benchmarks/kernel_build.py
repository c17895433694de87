"""Build the compiled op and load it, without the packages that `lnlattennet kernels build` needs.

python -m lnlattennet.benchmarks.kernel_build cuda
"""

from __future__ import annotations

import sys

from lnlattennet.benchmarks import bare_command
from lnlattennet.benchmarks.bare_command import say
from lnlattennet.benchmarks.kernel_rivals import compiled_kernel


def run() -> int:
    """Build and load what the first argument names, "cpu" or "cuda"."""
    device = sys.argv[1]
    say(f"the {device} kernels are there, for {compiled_kernel(device)}")
    return 0


if __name__ == "__main__":
    bare_command.main(run)
