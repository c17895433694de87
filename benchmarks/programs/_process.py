"""A program at work in a process of its own, from its start."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lnlattennet.benchmarks.harness._versions import worker
from lnlattennet.benchmarks.programs._programs import Program

_PROGRAM = """
import importlib.metadata, json, os, sys, time, warnings
warnings.simplefilter("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
code, package, photograph, folders, cores = sys.argv[1:]
globals().update(json.loads(folders))
os.sched_setaffinity(0, map(int, cores.split(",")))
# What packages print is no answer.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
try:
    exec(code)
    with open(photograph, "rb") as file:
        first = {"answer": answer(file.read()), "version": importlib.metadata.version(package)}
except Exception as error:
    first = {"failed": f"{type(error).__name__}: {error}"}
print(json.dumps(first), file=answers)
if "failed" in first:
    sys.exit()
while length := sys.stdin.buffer.readline():
    data = sys.stdin.buffer.read(int(length))
    start = time.perf_counter()
    answer(data)
    print(time.perf_counter() - start, file=answers)
"""
"""Answers once as soon as it can, tells the answer, and then the seconds of every image that it is sent."""


@dataclass(frozen=True)
class Started:
    """A program that has answered once, or failed.

    Attributes:
        process: waits for images (``lnlattennet.benchmarks.harness._versions.turn``).
        seconds: from the start of the process until its first answer.
        answer: the expression.
        version: release of its package.
        failed: why it did not answer, or "".
    """

    process: subprocess.Popen[bytes]
    seconds: float
    answer: str = ""
    version: str = ""
    failed: str = ""


@contextmanager
def start(
    program: Program, python: Path, photograph: Path, folders: Mapping[str, Path], cores: Collection[int]
) -> Iterator[Started]:
    """Start a program and let it answer once.

    Args:
        program: what is run.
        python: interpreter of the environment that has its package.
        photograph: an encoded image with a face.
        folders: variables of the program's code.
        cores: CPUs that the process may use.
    """
    variables = json.dumps({name: str(folder) for name, folder in folders.items()})
    arguments = [program.code, program.package, str(photograph), variables, ",".join(map(str, cores))]
    begun = time.perf_counter()
    with worker(python, _PROGRAM, *arguments) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        first = json.loads(line or '{"failed": "it ended without an answer"}')
        yield Started(process, seconds, **first)
