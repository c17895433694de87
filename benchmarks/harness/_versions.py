"""Another version of this package at work, in a process of its own that takes turns with others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lnlattennet._interleave import Turn
from lnlattennet.errors import LnlAttenNetError

EARLIER = "earlier version"


@contextmanager
def worker(python: Path, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that reads the length of data in a line, then the data, and answers with seconds."""
    command = [str(python), "-P", "-c", program, *arguments]
    # Unbuffered, so that nothing is left to write to a process that has ended.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield process


def turn(worker: subprocess.Popen[bytes], data: bytes) -> Turn:
    """Return a call that lets the process work on ``data``, and returns the seconds that it answers.

    The call raises LnlAttenNetError where the process has ended.
    """
    assert worker.stdin is not None  # noqa: S101 - it is a pipe
    assert worker.stdout is not None  # noqa: S101 - it is a pipe
    requests, answers = worker.stdin, worker.stdout

    def call() -> float:
        with suppress(BrokenPipeError):
            requests.write(b"%d\n" % len(data) + data)
        if seconds := answers.readline():
            return float(seconds)
        raise LnlAttenNetError(f"{worker.args!r} ended; what it wrote above says why")

    return call
