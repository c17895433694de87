"""Soak of a served bundle: clients of every kind for minutes; wrong answers and leaks fail it.

`lnlattennet serve` runs as a process of its own. Eight clients at a time ask every public model, over gRPC
and HTTP, about photographs of every size, send broken files, and cancel or abandon requests. Every answer is
compared with that of the bundle in this process. Between rounds of load, memory, file descriptors, shared
memory and temporary folders are read. The exit code is 1 if a required figure is missed.
"""

from __future__ import annotations

import re
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report, say
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._server import Server, triton
from lnlattennet.benchmarks.harness._tables import aligned, requirement_table
from lnlattennet.benchmarks.serving.soak._expected import Expected
from lnlattennet.benchmarks.serving.soak._load import Tally, load_round
from lnlattennet.benchmarks.serving.soak._requirements import Findings, requirements
from lnlattennet.benchmarks.serving.soak._resources import Holding, processes_in, segments
from lnlattennet.benchmarks.serving.soak._visitor import Visitor
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import LnlAttenNetError

FAILED_EXIT_CODE = 1

_ROUNDS = (10, 40)
"""Fewest and most rounds of load, each followed by a look at what the server holds."""

_ROUND_SECONDS = 10

_REST_SECONDS = 1.0
"""Pause before each look, in which canceled and abandoned requests come to their end."""

_LARGE_BATCHES = 4


def soak(bundle: Path, seconds: int, clients: int) -> Record:
    """Load a server for some seconds.

    Args:
        bundle: folder of a bundle.
        seconds: length of the load, without start, pauses and the large batches at the end.
        clients: how many are there at once.

    Raises:
        LnlAttenNetError: the server did not start.
        UnavailableError: a package is not installed.
    """
    record = Record(benchmark="soak")
    expected = Expected.of(Bundle.load(bundle))
    tally, holdings, started = Tally(), list[Holding](), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options, environment = ("--health-port", "0"), {"TMPDIR": name}
        with triton(bundle, options=options, environment=environment) as server:
            rounds = int(np.clip(seconds // _ROUND_SECONDS, *_ROUNDS))
            for number in range(rounds):
                tally.add(load_round(server.urls, expected, clients, seconds / rounds, number))
                holdings.append(_look(server, folder, started))
                say(f"[{number + 1}/{rounds}] {_progress(tally, holdings[-1])}")
            _send_large_batches(server, expected, tally)
            after_large = _look(server, folder, started)
            counters = _supervisor_counters(server)
        left: dict[str, list[Any]] = {
            "processes": processes_in(folder),
            "segments": [path.name for path in segments(server.pid)],
            "folders": [path.name for path in folder.iterdir()],
        }
    findings = Findings(tally, holdings, after_large, counters, left)
    record.requirements = requirements(findings)
    record.facts |= {"bundle": str(bundle), "load_seconds": seconds, "clients": clients}
    record.facts |= findings.facts()
    record.note_time()
    return record


def _look(server: Server, folder: Path, started: float) -> Holding:
    time.sleep(_REST_SECONDS)
    return Holding.of(server, folder, started)


def _progress(tally: Tally, held: Holding) -> str:
    return (
        f"{tally.done.total()} visits as they should be, {tally.wrong} wrong, {tally.failed} failed; "
        f"{held.memory_bytes / 1e6:.0f} MB, {held.descriptors} descriptors, {held.segments} segments"
    )


def _send_large_batches(server: Server, expected: Expected, tally: Tally) -> None:
    visitor = Visitor(server.urls, expected, seed=-1)
    for _ in range(_LARGE_BATCHES):
        tally.count(visitor.large_batch)
    visitor.close()


def _supervisor_counters(server: Server) -> dict[str, float]:
    """Return the restarts and the failed probes that the supervisor counted."""
    with urllib.request.urlopen(f"{server.urls['health']}/metrics", timeout=30) as answer:  # noqa: S310
        text = answer.read().decode()
    return {
        "restarts": _counter(text, "lnlattennet_restarts_total"),
        "failed probes": _counter(text, 'lnlattennet_probes_total{result="failed"}'),
    }


def _counter(text: str, key: str) -> float:
    if found := re.search(rf"^{re.escape(key)} (\S+)$", text, re.MULTILINE):
        return float(found[1])
    raise LnlAttenNetError(f"the supervisor's metrics have no {key}")


def soak_tables(record: Record) -> str:
    """Return the visits, the required figures and the first messages, as plain text."""
    visits = [("visits", ""), *((kind, str(count)) for kind, count in record.facts["visits"].items())]
    return "\n\n".join([aligned(visits), requirement_table(record.requirements), *record.facts["messages"]])


def run(arguments: Sequence[str] | None = None) -> int:
    """Soak what the command line asks for; return the exit code."""
    parser = option_parser("serving.soak", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_count(parser, "--seconds", 600, 10, "length of the load")
    add_count(parser, "--clients", 8, 1, "clients at a time")
    options = parser.parse_args(arguments)
    record = soak(options.bundle, options.seconds, options.clients)
    report(record, soak_tables(record), options)
    return FAILED_EXIT_CODE if any(item.status != "reached" for item in record.requirements) else 0


if __name__ == "__main__":
    main(run)
