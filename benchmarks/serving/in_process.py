"""Image to answer without a server, beside an earlier version: each version in a process of its own.

    python -m lnlattennet.benchmarks.serving.in_process BUNDLE --earlier ../earlier/.venv/bin/python

The two take turns on the same images; what differs is reading, finding the face, cropping and calling the
engine.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table
from lnlattennet.benchmarks.serving._images import photographs
from lnlattennet.bundle import read_manifest
from lnlattennet.errors import LnlAttenNetError

EARLIER, NOW = "earlier version", "this version"

_WARM_UP = 2
_PROGRAM = """
import sys, time
import lnlattennet
model = lnlattennet.load(sys.argv[1])
while length := sys.stdin.buffer.readline():
    image = sys.stdin.buffer.read(int(length))
    start = time.perf_counter()
    model.predict(image)
    print(time.perf_counter() - start, flush=True)
"""
"""Runs in any version: reads images, each behind its length, and answers with the seconds of a prediction."""


def measure(bundle: Path, earlier: Path, rounds: int) -> Record:
    """Let both versions predict every image in turn, ``rounds`` times.

    Args:
        bundle: folder of a bundle that both versions can load.
        earlier: interpreter of an environment with the earlier version.
        rounds: counted predictions of each image by each version.

    Raises:
        BundleError: there is no bundle.
        LnlAttenNetError: a version cannot load the bundle or read an image.
    """
    record = Record(benchmark="serving")
    record.facts["face_finder"] = read_manifest(bundle).preprocessing.face_finder
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(_worker(Path(python), bundle))
            for name, python in ((EARLIER, earlier), (NOW, sys.executable))
        }
        for name, image in photographs().items():
            turns = {version: _turn(worker, image) for version, worker in workers.items()}
            interleave(turns, _WARM_UP)
            samples = interleave(turns, rounds)
            record.add(ExperimentResult(name, {"image_bytes": len(image)}, warm_results(samples)))
    return record


@contextmanager
def _worker(python: Path, bundle: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(python), "-P", "-c", _PROGRAM, str(bundle)]
    # Unbuffered, so that nothing is left to write to a process that has ended.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield process


def _turn(worker: subprocess.Popen[bytes], image: bytes) -> Turn:
    assert worker.stdin is not None  # noqa: S101 - it is a pipe
    assert worker.stdout is not None  # noqa: S101 - it is a pipe
    images, answers = worker.stdin, worker.stdout

    def predict() -> float:
        with suppress(BrokenPipeError):
            images.write(b"%d\n" % len(image) + image)
        if seconds := answers.readline():
            return float(seconds)
        raise LnlAttenNetError(f"{worker.args!r} ended; what it wrote above says why")

    return predict


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("serving.in_process", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    parser.add_argument(
        "--earlier", type=Path, metavar="PYTHON", required=True, help="Python with an earlier version"
    )
    add_count(parser, "--rounds", 50, 2, "counted predictions of each image by each version")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, options.earlier, options.rounds)
    report(record, comparison_table(record.cases, EARLIER, "ms per image", 1e3), options)
    return 0


if __name__ == "__main__":
    main(run)
