"""Face finders on portraits with known faces, and on images without one.

    python -m lnlattennet.benchmarks.faces --portraits DIR --portraits DIR --faceless DIR --output record.json

All finders search the same images: the portraits as they are, turned, small, dark, covered, cut off and in
groups. All run on one core; docs/reference/face-finders.md says which images were used.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch

from lnlattennet.benchmarks.faces._candidates import candidates
from lnlattennet.benchmarks.faces._measure import measure_false_alarms, measure_recall, measure_time
from lnlattennet.benchmarks.faces._scenes import Studio, read_faceless, read_portraits
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report, say
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._tables import comparison_table

SUBJECT = "haar"
"""The finder that times are compared with."""


def measure(portraits: Sequence[Path], faceless: Sequence[Path], rounds: int, limit: int) -> Record:
    """Measure every finder that is installed, and keep the result of every image.

    Args:
        portraits: folders of portraits with landmarks.
        faceless: folders of images without a face.
        rounds: timed searches of every finder for each kind of image.
        limit: use at most this many portraits.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    empty = read_faceless(faceless)
    scenes = Studio(read_portraits(portraits)[:limit], empty).scenes()
    record = Record(benchmark="faces")
    entries = list(candidates())
    record.facts["finders"] = {
        entry.info.name: dataclasses.asdict(entry.info) | {"failed": entry.failed} for entry in entries
    }
    for entry in entries:
        if entry.failed:
            say(f"{entry.info.name} is left out: {entry.failed}")
    finders = {entry.info.name: entry.find for entry in entries if entry.find is not None}
    timed = {
        "512 pixels, one face": [scene.image for scene in scenes["upright"]],
        "512 pixels, a face of 20 pixels": [scene.image for scene in scenes["20 pixels wide"]],
        "512 pixels, no face": empty,
    }
    measure_time(record, finders, timed, rounds)
    measure_recall(record, finders, scenes)
    measure_false_alarms(record, finders, empty)
    record.facts["portraits"] = len(scenes["upright"])
    return record


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("faces", __doc__ or "")
    parser.add_argument("--portraits", type=Path, action="append", required=True, metavar="DIR",
                        help="folder of NAME.jpg with NAME.tem; repeatable")  # fmt: skip
    parser.add_argument("--faceless", type=Path, action="append", required=True, metavar="DIR",
                        help="folder of images without a face; repeatable")  # fmt: skip
    add_count(parser, "--rounds", 30, 2, "timed searches of each finder for each kind of image")
    add_count(parser, "--limit", 1000, 5, "use at most this many portraits")
    options = parser.parse_args(arguments)
    record = measure(options.portraits, options.faceless, options.rounds, options.limit)
    report(record, comparison_table(record.cases, SUBJECT, "ms", 1e3), options)
    return 0


if __name__ == "__main__":
    # Read by OpenMP when it starts, before torch is imported by a finder's package.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(run)
