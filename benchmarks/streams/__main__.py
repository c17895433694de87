"""Folder of photographs to a table: all cores beside one image at a time, and beside the package fer.

    python -m lnlattennet.benchmarks.streams build/demo --json
    python -m lnlattennet.benchmarks.streams build/demo --earlier EARLIER/bin/python --fer FER/bin/python

Each run is a command of its own, from its start to its end, and all take turns on the same files. An earlier
version is given the names of the files; without one, a loop in Python stands for it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table
from lnlattennet.benchmarks.streams._folder import write_photographs
from lnlattennet.bundle import read_manifest
from lnlattennet.errors import LnlAttenNetError

ALL_CORES, ONE_AT_A_TIME, FER = "all cores", "one at a time", "fer"

_LOOP = """
import sys, pathlib, lnlattennet
model = lnlattennet.load(sys.argv[1])
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    model.predict(path.read_bytes())
"""
_FER_LOOP = """
import sys, pathlib, cv2
from fer.fer import FER
model = FER()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    model.detect_emotions(cv2.imread(str(path)))
"""
"""The package's own way through a folder: its default finder, and its model on every face."""

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what a command leaves becomes a child of this process, whose time counts."""


def measure(bundle: Path, images: int, rounds: int, earlier: Path | None, fer: Path | None) -> Record:
    """Let every candidate go through the same folder in turn, ``rounds`` times.

    Args:
        bundle: folder of the bundle.
        images: how many photographs the folder has.
        rounds: counted runs of each candidate.
        earlier: interpreter of an environment with an earlier version; None takes a loop of this one.
        fer: interpreter of an environment with the package fer; None leaves it out.

    Raises:
        BundleError: there is no bundle.
        LnlAttenNetError: a candidate failed.
    """
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    record = Record(benchmark="streams")
    record.facts["face_finder"] = read_manifest(bundle).preprocessing.face_finder
    with TemporaryDirectory() as place:
        folder, output = Path(place, "images"), Path(place, "rows.jsonl")
        write_photographs(folder, images)
        commands = _commands(bundle.resolve(), folder, output, earlier, fer)
        processor: dict[str, list[float]] = {name: [] for name in commands}
        turns = {name: partial(_run, command, output, processor[name]) for name, command in commands.items()}
        seconds = interleave(turns, rounds)
    per_image = {name: [value / images for value in values] for name, values in seconds.items()}
    record.facts["processor_seconds_per_image"] = {
        name: [round(value / images, 6) for value in values] for name, values in processor.items()
    }
    record.add(ExperimentResult(f"{images} photographs", {"images": images}, warm_results(per_image)))
    return record


def _commands(
    bundle: Path, folder: Path, output: Path, earlier: Path | None, fer: Path | None
) -> Mapping[str, Sequence[str]]:
    program = [sys.executable, "-P", "-m", "lnlattennet", "predict"]
    commands = {ALL_CORES: [*program, str(folder), "--bundle", str(bundle), "--output", str(output), "-q"]}
    if earlier is None:
        commands[ONE_AT_A_TIME] = [sys.executable, "-P", "-c", _LOOP, str(bundle), str(folder)]
    else:
        names = [str(path) for path in sorted(folder.iterdir())]
        before = [str(earlier), "-P", "-m", "lnlattennet", "predict"]
        commands[ONE_AT_A_TIME] = [*before, *names, "--bundle", str(bundle), "--json"]
    if fer is not None:
        commands[FER] = [str(fer), "-P", "-c", _FER_LOOP, str(folder)]
    return commands


def _run(command: Sequence[str], output: Path, processor: list[float]) -> float:
    output.unlink(missing_ok=True)
    before, start = _processor_seconds(), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise LnlAttenNetError(f"{command[0]} failed:\n{done.stderr}")
    _wait_for_all()
    processor.append(_processor_seconds() - before)
    return seconds


def _wait_for_all() -> None:
    """Wait for the processes that a command left behind for a moment, such as the server of its workers."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("streams", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_count(parser, "--images", 2000, 1, "photographs in the folder")
    add_count(parser, "--rounds", 3, 1, "counted runs of each candidate")
    add_earlier(parser)
    parser.add_argument("--fer", type=Path, metavar="PYTHON", help="Python of an environment with fer")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, options.images, options.rounds, options.earlier, options.fer)
    report(record, comparison_table(record.cases, ALL_CORES, "ms per image", 1e3), options)
    return 0


if __name__ == "__main__":
    main(run)
