"""Reading images beside whole decoding by Pillow and OpenCV: time, and peak memory.

    python -m lnlattennet.benchmarks.images --output record.json

`--earlier PYTHON` adds the reader of another version; choose files that it takes by `--case`.
Times are of one processor, of candidates that take turns in several processes; memory is of a fresh process
for each read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lnlattennet.benchmarks.harness._command import (
    add_cases,
    add_count,
    add_earlier,
    choose_names,
    main,
    option_parser,
    report,
    say,
)
from lnlattennet.benchmarks.harness._record import (
    ExperimentResult,
    Record,
    RequirementResult,
    warm_results,
)
from lnlattennet.benchmarks.harness._tables import aligned, comparison_table, requirement_table
from lnlattennet.benchmarks.images._memory import peak_memory
from lnlattennet.benchmarks.images._photographs import PHOTOGRAPHS, Photograph
from lnlattennet.benchmarks.images._readers import SUBJECT, WHOLE, readers
from lnlattennet.benchmarks.images._times import times

LEAST_MEMORY = 0.35
"""Required share of the memory of a whole decode, for 50 megapixels."""

STARTS = 5
"""Processes in which the candidates take turns, one after the other."""


def measure(
    photographs: Mapping[str, Photograph],
    rounds: int,
    reads: int = 5,
    earlier: Path | None = None,
    starts: int = STARTS,
) -> Record:
    """Read every photograph by every candidate: ``rounds`` times in turns, then ``reads`` for memory.

    Args:
        photographs: kind of file -> file.
        rounds: timed reads of each file by each candidate, which the processes share.
        reads: reads of each file in fresh processes, for memory.
        earlier: interpreter of an environment with an earlier version, whose times are measured too.
        starts: processes of every file, in each of which all candidates take turns.

    Raises:
        LnlAttenNetError: the earlier version cannot read a photograph.
    """
    record = Record(benchmark="images")
    memory: dict[str, dict[str, list[float]]] = {}
    calls = max(1, rounds // starts)
    for name, photograph in photographs.items():
        say(name)
        data = photograph.encode()
        facts = {"width": photograph.width, "height": photograph.height, "bytes": len(data)}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photograph"
            file.write_bytes(data)
            samples = times(file, calls, starts, earlier)
            memory[name] = {reader: [peak_memory(reader, file) for _ in range(reads)] for reader in readers()}
        record.add(ExperimentResult(name, facts, warm_results(samples, [calls] * starts)))
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
    add_count(parser, "--starts", STARTS, 1, "processes of each file, which share the reads")
    add_count(parser, "--reads", 5, 1, "reads of each file by each candidate for memory, each in a process")
    add_cases(parser, "512*")
    add_earlier(parser)
    options = parser.parse_args(arguments)
    chosen = {name: PHOTOGRAPHS[name] for name in choose_names(PHOTOGRAPHS, options.case)}
    record = measure(chosen, options.rounds, options.reads, options.earlier, options.starts)
    tables = [comparison_table(record.cases, SUBJECT, "ms", 1e3), memory_table(record)]
    report(record, "\n\n".join([*tables, requirement_table(record.requirements)]), options)
    return 0


if __name__ == "__main__":
    main(run)
