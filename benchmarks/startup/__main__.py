"""From the start of a process to its first answer: import, load, and predict, each in fresh processes.

    python -m lnlattennet.benchmarks.startup build/auto --output record.json

One process gives one sample of every step. Beside each step stands a Python that does nothing, from its start
to its end: it tells how fast the machine starts any program. `--earlier PYTHON` adds another version's steps.
What the disk holds is in memory already: a first, uncounted round has read it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report
from lnlattennet.benchmarks.harness._jpeg import jpeg
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import aligned, comparison_table
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.bundle import read_manifest
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import LnlAttenNetError

NOW, BARE = "this version", "Python that does nothing"
WHOLE = "the whole process"

_SIDE = 512
_MEMORY = "memory_mb"
_PROGRAM = """
import json, pathlib, re, sys, time
steps, start = {}, time.perf_counter()
def step(name):
    global start
    steps[name], start = time.perf_counter() - start, time.perf_counter()
from lnlattennet import load
step("import")
model = load(sys.argv[1])
step("load the bundle")
image = pathlib.Path(sys.argv[2]).read_bytes()
model.predict(image)
step("first answer")
model.predict(image)
step("second answer")
[peak] = re.findall(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
print(json.dumps({"steps": steps, "memory_mb": int(peak) * 1024 / 1e6}))
"""
"""Runs in any version. A child's own peak: what the system counts for a process begins at its parent's."""


class Starts:
    """Processes of one version, one after the other.

    Args:
        python: interpreter of the version's environment.
        bundle: folder of a bundle.
        image: an encoded image.
    """

    def __init__(self, python: Path, bundle: Path, image: Path) -> None:
        self._command = [str(python), "-P", "-c", _PROGRAM, str(bundle), str(image)]
        self.steps: dict[str, list[float]] = {}
        self.memory_mb: list[float] = []

    def turn(self) -> float:
        """Run a process, keep its steps, and return the seconds of all of it.

        Raises:
            LnlAttenNetError: it failed.
        """
        seconds, answer = _timed(self._command)
        document = json.loads(answer)
        for name, value in document["steps"].items():
            self.steps.setdefault(name, []).append(value)
        self.memory_mb.append(document[_MEMORY])
        return seconds


def measure(bundle: Path, rounds: int, earlier: Path | None = None) -> Record:
    """Start processes in turn, ``rounds`` of every version.

    Args:
        bundle: folder of a bundle.
        rounds: counted processes of each candidate.
        earlier: interpreter of an environment with an earlier version, or None.

    Raises:
        BundleError: there is no bundle.
        LnlAttenNetError: a process failed.
    """
    record = Record(benchmark="startup")
    record.facts["face_finder"] = read_manifest(bundle).preprocessing.face_finder
    record.facts["image"] = f"a rendered face of {_SIDE} pixels, JPEG"
    pythons = {NOW: Path(sys.executable)} | ({EARLIER: earlier} if earlier else {})
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "face.jpg"
        image.write_bytes(_image())
        versions = {name: Starts(python, bundle.resolve(), image) for name, python in pythons.items()}
        turns = {name: starts.turn for name, starts in versions.items()}
        turns[BARE] = partial(_bare_turn, [sys.executable, "-I", "-c", "pass"])
        for turn in turns.values():
            turn()
        seconds = interleave(turns, rounds)
    for name, samples in _by_step(versions, seconds).items():
        record.add(ExperimentResult(name, {}, warm_results(samples, [1] * rounds)))
    peaks = {name: starts.memory_mb[-rounds:] for name, starts in versions.items()}
    record.facts[_MEMORY] = {WHOLE: peaks}
    return record


def _by_step(
    versions: Mapping[str, Starts], seconds: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Sequence[float]]]:
    """Return step -> candidate -> seconds of every counted process."""
    rounds = len(seconds[BARE])
    bare = {BARE: seconds[BARE]}
    return {
        step: {name: starts.steps[step][-rounds:] for name, starts in versions.items()} | bare
        for step in versions[NOW].steps
    } | {WHOLE: dict(seconds)}


def _image() -> bytes:
    (face,), _ = render_split("test", 1, _SIDE, workers=1)
    return jpeg(Image.fromarray(face))


def _bare_turn(command: Sequence[str]) -> float:
    return _timed(command)[0]


def _timed(command: Sequence[str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise LnlAttenNetError(f"{command[0]} failed:\n{done.stderr}")
    return seconds, done.stdout


def memory_table(record: Record) -> str:
    """Return the median peak memory of a process of every version."""
    rows = [("peak memory of a process", "MB")]
    rows += [(name, f"{np.median(values):.0f}") for name, values in record.facts[_MEMORY][WHOLE].items()]
    return aligned(rows)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("startup", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_earlier(parser)
    add_count(parser, "--rounds", 20, 3, "counted processes of each candidate")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, options.rounds, options.earlier)
    report(record, f"{comparison_table(record.cases, NOW, 'ms', 1e3)}\n\n{memory_table(record)}", options)
    return 0


if __name__ == "__main__":
    main(run)
