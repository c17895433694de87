"""Reading images beside whole decoding by Pillow and OpenCV: time, and peak memory.

    python -m lnlattennet.benchmarks.images --output record.json

`--earlier PYTHON` adds the reader of another version; choose files that it takes by `--only`.
Times are of one processor, of candidates that take turns; memory is of a fresh process for each read.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report, say
from lnlattennet.benchmarks.harness._record import (
    ExperimentResult,
    Record,
    RequirementResult,
    warm_results,
)
from lnlattennet.benchmarks.harness._tables import aligned, comparison_table, requirement_table
from lnlattennet.benchmarks.harness._versions import EARLIER, turn, worker
from lnlattennet.benchmarks.images._memory import peak_memory
from lnlattennet.benchmarks.images._photographs import PHOTOGRAPHS, Photograph
from lnlattennet.benchmarks.images._readers import SUBJECT, WHOLE, Reader, readers

LEAST_MEMORY = 0.35
"""Required share of the memory of a whole decode, for 50 megapixels."""


_EARLIER_PROGRAM = """
import sys, time
from lnlattennet.images import decode_image
while length := sys.stdin.buffer.readline():
    data = sys.stdin.buffer.read(int(length))
    start = time.process_time()
    decode_image(data)
    print(time.process_time() - start, flush=True)
"""


def measure(
    photographs: Mapping[str, Photograph], rounds: int, reads: int = 5, earlier: Path | None = None
) -> Record:
    """Read every photograph by every candidate: ``rounds`` times in turns, then ``reads`` for memory.

    Args:
        photographs: kind of file -> file.
        rounds: timed reads of each file by each candidate.
        reads: reads of each file in fresh processes, for memory.
        earlier: interpreter of an environment with an earlier version, whose times are measured too.

    Raises:
        LnlAttenNetError: the earlier version cannot read a photograph.
    """
    cv2.setNumThreads(1)
    record = Record(benchmark="images")
    memory: dict[str, dict[str, list[float]]] = {}
    for name, photograph in photographs.items():
        say(name)
        data = photograph.encode()
        samples = _times(data, rounds, earlier)
        facts = {"width": photograph.width, "height": photograph.height, "bytes": len(data)}
        record.add(ExperimentResult(name, facts, warm_results(samples)))
        memory[name] = _memory(data, reads)
        if "50-megapixel" in name:
            share = np.median(memory[name][SUBJECT]) / np.median(memory[name][WHOLE])
            required = RequirementResult(
                text="peak memory over a whole decode's",
                case=name,
                bound=LEAST_MEMORY,
                upper=True,
                against=WHOLE,
            )
            record.requirements.append(required.with_value(float(share)))
    record.facts["memory_mb"] = memory
    return record


def _times(data: bytes, rounds: int, earlier: Path | None) -> dict[str, list[float]]:
    turns = {reader: _turn(read, data) for reader, read in readers().items()}
    with ExitStack() as stack:
        if earlier is not None:
            turns[EARLIER] = turn(stack.enter_context(worker(earlier, _EARLIER_PROGRAM)), data)
            turns[EARLIER]()  # the first read of a process also imports
        return interleave(turns, rounds)


def _turn(read: Reader, data: bytes) -> Turn:
    """Time a read in seconds of processor time, which other processes change little."""

    def turn() -> float:
        start = time.process_time_ns()
        read(data)
        return (time.process_time_ns() - start) / 1e9

    return turn


def _memory(data: bytes, reads: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photograph"
        file.write_bytes(data)
        return {name: [peak_memory(name, file) for _ in range(reads)] for name in readers()}


def memory_table(record: Record) -> str:
    """Return the median peak of every candidate for each file, and its share of the whole decode's."""
    rows = [("file", "candidate", "peak, MB", "over a whole decode's")]
    for case, candidates in record.facts["memory_mb"].items():
        whole = np.median(candidates[WHOLE])
        for name, values in candidates.items():
            rows.append((case, name, f"{np.median(values):.0f}", f"{np.median(values) / whole:.2f}"))
    return aligned(rows)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("images", __doc__ or "")
    add_count(parser, "--rounds", 15, 2, "timed reads of each file by each candidate")
    kinds = ", ".join(PHOTOGRAPHS)
    parser.add_argument("--only", action="append", choices=PHOTOGRAPHS, metavar="FILE",
                        help=f"a kind of file, repeatable: {kinds}; default: all")  # fmt: skip
    add_earlier(parser)
    options = parser.parse_args(arguments)
    names = options.only or PHOTOGRAPHS
    record = measure({name: PHOTOGRAPHS[name] for name in names}, options.rounds, earlier=options.earlier)
    tables = [comparison_table(record.cases, SUBJECT, "ms", 1e3), memory_table(record)]
    report(record, "\n\n".join([*tables, requirement_table(record.requirements)]), options)
    return 0


if __name__ == "__main__":
    main(run)
