"""Image to answer without a server, beside an earlier version: each version in a process of its own.

    python -m lnlattennet.benchmarks.serving.in_process BUNDLE --earlier ../earlier/.venv/bin/python

The two take turns on the same images; what differs is reading, finding the face, cropping and calling the
engine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report
from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table
from lnlattennet.benchmarks.harness._versions import EARLIER, turn, worker
from lnlattennet.bundle import read_manifest

NOW = "this version"

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
    record = Record(benchmark="serving.in_process")
    record.facts["face_finder"] = read_manifest(bundle).preprocessing.face_finder
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(worker(Path(python), _PROGRAM, str(bundle)))
            for name, python in ((EARLIER, earlier), (NOW, sys.executable))
        }
        for name, image in photographs().items():
            turns = {version: turn(process, image) for version, process in workers.items()}
            interleave(turns, _WARM_UP)
            samples = interleave(turns, rounds)
            record.add(ExperimentResult(name, {"image_bytes": len(image)}, warm_results(samples)))
    return record


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("serving.in_process", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_earlier(parser, required=True)
    add_count(parser, "--rounds", 50, 2, "counted predictions of each image by each version")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, options.earlier, options.rounds)
    report(record, comparison_table(record.cases, EARLIER, "ms per image", 1e3), options)
    return 0


if __name__ == "__main__":
    main(run)
