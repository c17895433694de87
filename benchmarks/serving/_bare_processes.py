"""The work of a request without a server: one process a core, each with an image of its own at any time.

No server around the same work on the same cores can answer more requests a second.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lnlattennet.benchmarks.harness._versions import worker
from lnlattennet.benchmarks.serving._perf_analyzer import Load, Served
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.machine._hardware import usable_cpus

_PROGRAM = """
import json, sys, time
import lnlattennet
model = lnlattennet.load(sys.argv[1], threads=1)
while line := sys.stdin.buffer.readline():
    length, number = map(int, line.split())
    image = sys.stdin.buffer.read(length)
    model.predict(image)
    print("ready", flush=True)
    sys.stdin.buffer.readline()
    times = [time.monotonic()]
    for _ in range(number):
        model.predict(image)
        times.append(time.monotonic())
    print(json.dumps(times), flush=True)
"""
"""Reads an image behind its length and the number of predictions, and waits for the start of all."""


class BareProcesses:
    """Processes that have the bundle loaded; ``open_bare_processes`` makes them."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = processes

    def run(self, image: bytes, load: Load, requests: int) -> Served | None:
        """Let all predict the same encoded image at once, one prediction after the other.

        Args:
            image: an encoded image.
            load: when requests come; the processes never wait for one.
            requests: number of predictions of all together, rounded up to as many in each.

        Returns:
            Every prediction; None for a load that leaves a core without a request.

        Raises:
            LnlAttenNetError: a process has ended.
        """
        if load.concurrency < len(self._processes):
            return None
        number = -(-requests // len(self._processes))
        for process in self._processes:
            _write(process, b"%d %d\n" % (len(image), number) + image)
        for process in self._processes:
            _read_line(process)
        for process in self._processes:
            _write(process, b"\n")
        times: list[list[float]] = [json.loads(_read_line(process)) for process in self._processes]
        latencies = [end - start for own in times for start, end in itertools.pairwise(own)]
        return Served(latencies, max(own[-1] for own in times) - min(own[0] for own in times))


@contextmanager
def open_bare_processes(bundle: Path) -> Iterator[BareProcesses]:
    """Start as many processes as there are cores."""
    with ExitStack() as stack:
        yield BareProcesses(
            [
                stack.enter_context(worker(Path(sys.executable), _PROGRAM, str(bundle)))
                for _ in range(usable_cpus())
            ]
        )


def _write(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    # Of a process that has ended, its missing answer tells.
    with suppress(BrokenPipeError):
        process.stdin.write(data)


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    if line := process.stdout.readline():
        return line
    raise LnlAttenNetError(f"{process.args!r} ended; what it wrote above says why")
