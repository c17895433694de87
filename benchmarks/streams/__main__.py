"""Folder of photographs, and films, to a table: all cores beside one image at a time, and other programs.

    python -m lnlattennet.benchmarks.streams build/demo --json
    python -m lnlattennet.benchmarks.streams build/demo --earlier EARLIER/bin/python --fer FER/bin/python
    python -m lnlattennet.benchmarks.streams build/demo --images 0 --seconds 60 --minutes 60

Each run is a command of its own, from its start to its end, and all take turns on the same files. An earlier
version is given the names of the photographs; without one, a loop in Python stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._tables import comparison_table, requirement_table
from lnlattennet.benchmarks.streams._commands import ALL_CORES
from lnlattennet.benchmarks.streams._film_cases import measure_film, measure_memory
from lnlattennet.benchmarks.streams._folder_case import measure_folder
from lnlattennet.bundle import read_manifest


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("streams", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_count(parser, "--images", 2000, 0, "photographs in the folder, 0 for no folder")
    add_count(parser, "--seconds", 60, 0, "length of a 720p film, 0 for none")
    add_count(parser, "--minutes", 60, 0, "length of a small film whose memory is compared, 0 for none")
    add_count(parser, "--rounds", 3, 1, "counted runs of each candidate")
    add_earlier(parser)
    parser.add_argument("--fer", type=Path, metavar="PYTHON", help="Python of an environment with fer")
    options = parser.parse_args(arguments)
    record = Record(benchmark="streams")
    record.facts["face_finder"] = read_manifest(options.bundle).preprocessing.face_finder
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        common = (record, options.bundle, place)
        if options.images:
            measure_folder(*common, options.images, options.rounds, options.earlier, options.fer)
        if options.seconds:
            measure_film(*common, options.seconds, options.rounds, options.earlier)
        if options.minutes:
            measure_memory(*common, 60, options.minutes * 60)
    tables = [comparison_table(record.cases, ALL_CORES, "ms per image", 1e3)] if record.cases else []
    tables += [requirement_table(record.requirements)] if record.requirements else []
    report(record, "\n\n".join(tables), options)
    return 0


if __name__ == "__main__":
    main(run)
