"""Rare late answers: a server as it is started, and one whose threads preempt one another on waking.

    python -m lnlattennet.benchmarks.serving.stalls BUNDLE --perf-analyzer tritonclient-2.51.0-*.whl

The two take turns under closed loops of some requests in flight. A benchmark of some hundred requests does
not see what happens to one of a thousand.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from lnlattennet._interleave import interleave
from lnlattennet._statistics import p99
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report, say
from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._server import triton
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.benchmarks.serving._perf_analyzer import (
    Load,
    PerfAnalyzer,
    add_perf_analyzer,
    open_perf_analyzer,
)
from lnlattennet.serving.triton._model_names import FUSED

LATE_SECONDS = 0.4
"""No request waits so long for those before it; Triton's batcher sleeps for 0.5 s."""

SERVED, PREEMPTING = "as served", "preempting on waking"
_IN_FLIGHT = (2, 4, 8)
"""With fewer requests than instances none waits."""
_IMAGE = "512"


def measure(bundle: Path, perf_analyzer: Path | None, requests: int, rounds: int) -> Record:
    """Let both servers answer over both protocols, ``rounds`` times ``requests`` for each number in flight.

    Raises:
        BundleError: there is no bundle.
        LnlAttenNetError: a server did not start, or a request failed.
        UnavailableError: perf_analyzer or a server is not installed.
    """
    image = photographs()[_IMAGE]
    record = Record(benchmark="serving.stalls")
    with ExitStack() as stack:
        generator = stack.enter_context(open_perf_analyzer(perf_analyzer))
        servers = {name: stack.enter_context(triton(bundle)) for name in (SERVED, PREEMPTING)}
        _let_threads_preempt(servers[PREEMPTING].pids())
        for in_flight in _IN_FLIGHT:
            for protocol in ("grpc", "http"):
                case = f"{in_flight} in flight, {protocol}"
                say(case)
                load, samples = Load(case, concurrency=in_flight), {name: list[float]() for name in servers}
                turns = {
                    name: partial(
                        _turn, generator, server.urls[protocol], image, load, requests, samples[name]
                    )
                    for name, server in servers.items()
                }
                interleave(turns, rounds)
                config = {"in_flight": in_flight, "protocol": protocol, "image_bytes": len(image)}
                record.add(ExperimentResult(case, config, warm_results(samples)))
    return record


def table(record: Record) -> str:
    """Return a row for each case and server: requests, how many were late, and percentiles in ms."""
    head = ("case", "server", "requests", f"over {LATE_SECONDS:g} s", "p50", "p99", "slowest, ms")
    rows: list[tuple[str, ...]] = [head]
    for case in record.cases:
        for name in case.candidates:
            timing = case.timing(name)
            if timing is not None:
                ms = np.array(timing.samples_us) / 1e3
                late = int((ms > LATE_SECONDS * 1e3).sum())
                figures = (np.median(ms), p99(ms), ms.max())
                times = ("" if value is None else f"{value:.1f}" for value in figures)
                rows.append((case.name, name, f"{ms.size}", f"{late}", *times))
    return aligned(rows)


def _turn(
    generator: PerfAnalyzer, url: str, image: bytes, load: Load, requests: int, into: list[float]
) -> float:
    served = generator.run(url, FUSED, image, load, requests)
    into += served.latencies
    return served.seconds


def _let_threads_preempt(pids: Sequence[int]) -> None:
    """Give every thread of the processes the scheduling policy of ordinary programs."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("serving.stalls", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_perf_analyzer(parser)
    add_count(parser, "--requests", 300, 10, "requests of each turn")
    add_count(parser, "--rounds", 10, 1, "turns of each server in each case")
    options = parser.parse_args(arguments)
    record = measure(options.bundle, options.perf_analyzer, options.requests, options.rounds)
    report(record, table(record), options)
    return 0


if __name__ == "__main__":
    main(run)
