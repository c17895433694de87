"""Times of all candidates on one file, in processes of their own: in each all of them take turns."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.harness._versions import EARLIER, turn, worker
from lnlattennet.benchmarks.images._readers import Reader, readers
from lnlattennet.errors import LnlAttenNetError

_EARLIER_PROGRAM = """
import sys, time
from lnlattennet.images import decode_image
while length := sys.stdin.buffer.readline():
    data = sys.stdin.buffer.read(int(length))
    start = time.process_time()
    decode_image(data)
    print(time.process_time() - start, flush=True)
"""


def times(file: Path, rounds: int, starts: int, earlier: Path | None) -> dict[str, list[float]]:
    """Return the processor seconds of every read by every candidate, process after process.

    Args:
        file: an encoded image.
        rounds: counted reads by each candidate in each process.
        starts: number of processes.
        earlier: interpreter of an environment with an earlier version, or None.

    Raises:
        LnlAttenNetError: a candidate cannot read the file.
    """
    module = "lnlattennet.benchmarks.images._times"
    command = [
        sys.executable,
        "-P",
        "-m",
        module,
        str(file),
        str(rounds),
        *([str(earlier)] if earlier else []),
    ]
    seconds: dict[str, list[float]] = {}
    for _ in range(starts):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LnlAttenNetError(f"{file.name} cannot be read by every candidate:\n{done.stderr}")
        for name, values in json.loads(done.stdout).items():
            seconds.setdefault(name, []).extend(values)
    return seconds


def _one_start(file: Path, rounds: int, earlier: Path | None) -> dict[str, list[float]]:
    cv2.setNumThreads(1)
    data = file.read_bytes()
    turns = {name: _turn(read, data) for name, read in readers().items()}
    with ExitStack() as stack:
        if earlier is not None:
            turns[EARLIER] = turn(stack.enter_context(worker(earlier, _EARLIER_PROGRAM)), data)
        # The first read of a process also imports, and gets its memory from the system.
        interleave(turns, 1)
        return interleave(turns, rounds)


def _turn(read: Reader, data: bytes) -> Turn:
    """Time a read in seconds of processor time, which other processes change little."""

    def turn() -> float:
        start = time.process_time_ns()
        read(data)
        return (time.process_time_ns() - start) / 1e9

    return turn


def _main(arguments: Sequence[str]) -> None:
    file, rounds, *earlier = arguments
    sys.stdout.write(json.dumps(_one_start(Path(file), int(rounds), Path(earlier[0]) if earlier else None)))


if __name__ == "__main__":
    _main(sys.argv[1:])
