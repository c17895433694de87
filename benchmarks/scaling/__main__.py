"""How the time of a bundle grows with batch, threads, size of the image and number of faces or requests.

    python -m lnlattennet.benchmarks.scaling build/auto --json

The sizes of a sweep take turns in random order. Each round gives an exponent, the slope of log time over log
size: 1 is time in proportion, 0 none, -1 time that is shared out. Its interval is over the rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._interleave import interleave
from lnlattennet._statistics import Estimate, median_interval
from lnlattennet.benchmarks.harness._command import (
    add_cases,
    add_count,
    choose_names,
    main,
    option_parser,
    report,
    say,
)
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.benchmarks.scaling._rows import CANDIDATE, scaling_rows
from lnlattennet.benchmarks.scaling._sweeps import SWEEPS, Sweep
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import UnavailableError

_WARM_UP = 2


def measure(bundle: Path, names: Sequence[str], rounds: int) -> Record:
    """Measure sweeps.

    Args:
        bundle: folder of a bundle.
        names: of the sweeps.
        rounds: counted calls of each size.

    Raises:
        BundleError: there is no bundle.
    """
    record, loaded = Record(benchmark="scaling"), Bundle.load(bundle)
    sweeps: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    finder = loaded.manifest.preprocessing.face_finder
    record.facts = {"face_finder": finder, "sweeps": sweeps, "left_out": left_out}
    for name in names:
        say(name)
        try:
            with SWEEPS[name](loaded) as sweep:
                sweeps[name] = _measure(name, sweep, rounds, record)
        except UnavailableError as error:
            left_out[name] = str(error)
            say(f"{name} is left out: {error}")
    return record


def _measure(name: str, sweep: Sweep, rounds: int, record: Record) -> dict[str, Any]:
    """Note every size in the record, and return what the sweep shows.

    The processes of the sweep are alive then: those that have ended would count as other programs.
    """
    seconds = _take_turns(sweep, rounds)
    for size, samples in seconds.items():
        config = {"sweep": name, "size": size}
        record.add(ExperimentResult(f"{name} {size}", config, warm_results({CANDIDATE: samples})))
    return {"what": sweep.what, "exponent": exponent(seconds) if len(seconds) > 1 else None}


def _take_turns(sweep: Sweep, rounds: int) -> dict[int, list[float]]:
    turns = {str(size): turn for size, turn in sweep.turns.items()}
    interleave(turns, _WARM_UP)
    return {int(size): samples for size, samples in interleave(turns, rounds).items()}


def exponent(seconds: Mapping[int, Sequence[float]]) -> Estimate:
    """Return the slope of log seconds over log size: the median of the rounds' slopes, with its interval.

    Args:
        seconds: size -> seconds of every round; two sizes or more.
    """
    sizes = np.log(list(seconds))
    centered = sizes - sizes.mean()
    slopes = centered @ np.log(np.array(list(seconds.values()))) / (centered @ centered)
    return median_interval(slopes.tolist())


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("scaling", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_cases(parser, "batch")
    add_count(parser, "--rounds", 30, 2, "counted calls of each size")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, choose_names(SWEEPS, options.case), options.rounds)
    report(record, aligned(scaling_rows(record.to_json())), options)
    return 0


if __name__ == "__main__":
    main(run)
