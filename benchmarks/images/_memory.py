"""Peak memory of one read, in a process that does nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lnlattennet.benchmarks.harness._memory import resident_size
from lnlattennet.benchmarks.images._photographs import Photograph
from lnlattennet.benchmarks.images._readers import readers
from lnlattennet.errors import LnlAttenNetError


def peak_memory(name: str, file: Path) -> float:
    """Return by how many MB (10^6 bytes) the resident memory of a fresh process grows while it reads a file.

    The file's own bytes are in memory before. Linux only.

    Raises:
        LnlAttenNetError: the candidate failed.
    """
    command = [sys.executable, "-P", "-m", "lnlattennet.benchmarks.images._memory", name, str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise LnlAttenNetError(f"{name} cannot read {file.name}: {reason}")
    return float(done.stdout)


def _measure(name: str, file: Path) -> float:
    read, data = readers()[name], file.read_bytes()
    # What the first call of a library allocates for good is not the image's.
    read(Photograph(64, 64, "JPEG", {}).encode())
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident_size("VmRSS")
    read(data)
    return (resident_size("VmHWM") - before) / 1e6


if __name__ == "__main__":
    sys.stdout.write(f"{_measure(sys.argv[1], Path(sys.argv[2]))}\n")
