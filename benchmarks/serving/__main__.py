"""Served answers beside an earlier version, peers and this process: bytes of an image in, expression out.

    pip download --no-deps tritonclient==2.51.0
    python -m lnlattennet.benchmarks.serving BUNDLE --perf-analyzer tritonclient-2.51.0-*.whl

All servers run at once and take turns; perf_analyzer sends the requests, with one and eight in flight, as a
Poisson process and in bursts. Beside eight in flight stands what the cores do without a server, one process
each: no server around the same work can answer more. `--earlier PYTHON` adds the version that this
interpreter's environment has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from lnlattennet._statistics import ratio_of_starts
from lnlattennet.benchmarks.harness._command import add_count, add_earlier, main, option_parser, report, say
from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._record import WARM, ExperimentResult, Record
from lnlattennet.benchmarks.harness._server import Server, triton
from lnlattennet.benchmarks.harness._tables import aligned, requirement_table
from lnlattennet.benchmarks.serving._anatomy import Steps, anatomy
from lnlattennet.benchmarks.serving._bare_processes import open_bare_processes
from lnlattennet.benchmarks.serving._measure import ONE, Measurement, Target, predict_here
from lnlattennet.benchmarks.serving._peer_servers import PEERS, peer_server
from lnlattennet.benchmarks.serving._perf_analyzer import (
    Load,
    PerfAnalyzer,
    add_perf_analyzer,
    open_perf_analyzer,
)
from lnlattennet.benchmarks.serving._requirements import BARE, FUSED, HERE, over_http, requirements
from lnlattennet.benchmarks.serving.latency import percentiles
from lnlattennet.errors import UnavailableError
from lnlattennet.serving import load
from lnlattennet.serving.triton._model_names import ENSEMBLE as ENSEMBLE_MODEL
from lnlattennet.serving.triton._model_names import FUSED as FUSED_MODEL

_ARRIVALS_WITH = "512"


def measure(
    bundle: Path, perf_analyzer: Path | None, earlier: Path | None, peers: bool, requests: int, rounds: int
) -> Record:
    """Measure every case.

    Args:
        bundle: folder of a bundle.
        perf_analyzer: the program or its wheel; None takes the one on PATH.
        earlier: interpreter of an environment that has an earlier version, or None.
        peers: whether FastAPI, LitServe and PyTriton take part.
        requests: requests of each run.
        rounds: runs of every target in every case.

    Raises:
        LnlAttenNetError: a server does not start, or a request failed.
        UnavailableError: perf_analyzer or tritonserver is not installed; a peer that is not is left out.
    """
    record = Record(benchmark="serving")
    with ExitStack() as stack:
        generator = stack.enter_context(open_perf_analyzer(perf_analyzer))
        servers = {"": stack.enter_context(triton(bundle))}
        if earlier is not None:
            servers["earlier "] = stack.enter_context(triton(bundle, earlier))
        bare = stack.enter_context(open_bare_processes(bundle))
        targets = [Target(HERE, partial(predict_here, load(bundle))), Target(BARE, bare.run)]
        targets += _triton_targets(servers, generator)
        for peer in PEERS if peers else ():
            try:
                server = servers[peer.name] = stack.enter_context(peer_server(peer, bundle))
            except UnavailableError as error:
                record.facts.setdefault("left_out", {})[peer.name] = str(error)
                say(f"{peer.name} is left out: {error}")
                continue
            send = partial(generator.run, server.urls["http"], ENSEMBLE_MODEL)
            targets.append(Target(over_http(peer), send))
        measurement = Measurement(record, targets)
        images = photographs()
        measurement.images(images, requests, rounds)
        record.facts["anatomy_ms"] = _anatomies(bundle, servers[""].urls["grpc"], generator, images, requests)
        measurement.arrivals(_ARRIVALS_WITH, images[_ARRIVALS_WITH], requests, rounds)
        record.facts["servers"] = {
            name.strip() or "this version": {
                "start_seconds": server.start_seconds,
                "memory_bytes": server.memory_bytes(),
                "largest_peak_bytes": server.largest_peak_bytes(),
            }
            for name, server in servers.items()
        }
    record.requirements = requirements(record)
    return record


def _triton_targets(servers: Mapping[str, Server], generator: PerfAnalyzer) -> list[Target]:
    models = {"fused": FUSED_MODEL, "ensemble": ENSEMBLE_MODEL}
    protocols = {"gRPC": "grpc", "HTTP": "http"}
    return [
        Target(f"{prefix}{name}, {label}", partial(generator.run, server.urls[protocol], model))
        for prefix, server in servers.items()
        for name, model in models.items()
        for label, protocol in protocols.items()
    ]


def _anatomies(
    bundle: Path, url: str, generator: PerfAnalyzer, images: Mapping[str, bytes], requests: int
) -> dict[str, dict[str, float]]:
    steps, load, anatomies = Steps(bundle), Load(ONE, concurrency=1), dict[str, dict[str, float]]()
    for name, image in images.items():
        say(f"{name}, parts of a request")
        send = partial(generator.run, url, FUSED_MODEL, image, load, requests)
        anatomies[name] = anatomy(steps.milliseconds(image, requests), url, FUSED_MODEL, send)
    return anatomies


def serving_tables(record: Record) -> str:
    """Return the percentiles and rates of every case, and the required figures, as plain text."""
    cases = [f"{case.name}\n{aligned(_case_rows(record, case))}" for case in record.cases]
    servers = [("server", "first answer after", "memory", "largest process, peak")]
    for name, facts in record.facts["servers"].items():
        memory = (f"{facts[key] / 1e6:.0f} MB" for key in ("memory_bytes", "largest_peak_bytes"))
        servers.append((name, f"{facts['start_seconds']:.1f} s", *memory))
    required = requirement_table(record.requirements)
    return "\n\n".join([*cases, _anatomy_table(record), aligned(servers), required])


def _anatomy_table(record: Record) -> str:
    anatomies: Mapping[str, Mapping[str, float]] = record.facts["anatomy_ms"]
    rows: list[tuple[str, ...]] = [(f"ms of a request to {FUSED}, one at a time", *anatomies)]
    for part in next(iter(anatomies.values())):
        rows.append((part, *(f"{parts[part]:.2f}" for parts in anatomies.values())))
    rows.append(("together, the mean", *(f"{sum(parts.values()):.2f}" for parts in anatomies.values())))
    return aligned(rows)


def _case_rows(record: Record, case: ExperimentResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "p50", "p90", "p99", "largest", "requests/s", f"of {BARE}")]
    rates: Mapping[str, Sequence[float]] = record.facts["requests_per_second"][case.name]
    for name, result in case.candidates.items():
        figures = percentiles(np.divide(result.timings[WARM].samples_us, 1e3))
        times = ("" if value is None else f"{value:.2f} ms" for value in figures.values())
        rate = f"{np.median(rates[name]):.1f}"
        rows.append((name, *times, rate, _share(rates[name], rates.get(BARE))))
    return rows


def _share(rates: Sequence[float], most: Sequence[float] | None) -> str:
    """Return the share of what the cores can do without a server, with its interval."""
    if most is None:
        return ""
    return ratio_of_starts([[rate] for rate in rates], [[rate] for rate in most]).text()


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("serving", __doc__ or "")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle written by export-engine")
    add_perf_analyzer(parser)
    add_earlier(parser)
    parser.add_argument("--no-peer", action="store_true", help="leave FastAPI, LitServe and PyTriton out")
    add_count(parser, "--requests", 100, 10, "requests of each run")
    add_count(parser, "--rounds", 5, 1, "runs of every target in every case")
    options = parser.parse_args(arguments)
    record = measure(
        options.bundle,
        options.perf_analyzer,
        options.earlier,
        not options.no_peer,
        options.requests,
        options.rounds,
    )
    report(record, serving_tables(record), options)
    return 0


if __name__ == "__main__":
    main(run)
