"""Latency of a served model as a client sees it: encoded image in, expression out.

    python -m lnlattennet.benchmarks.serving.latency IMAGE --url grpc://127.0.0.1:8001 --requests 200

All targets (URL and model) take turns, so that a change of the machine's speed affects all alike.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._interleave import Turn, interleave
from lnlattennet._statistics import p99
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.errors import UsageError
from lnlattennet.serving.client._client import Client

MODELS = ("expression", "expression_fused")
_WARM_UP_REQUESTS = 10


def percentiles(samples: Sequence[float] | NDArray[np.float64]) -> dict[str, float | None]:
    """Return p50, p90, p99 and the largest of durations in milliseconds; p99 is None of too few."""
    p50, p90, largest = np.percentile(samples, [50, 90, 100]).tolist()
    return {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99(samples), "max_ms": largest}


def measure(urls: Sequence[str], models: Sequence[str], image: Path, requests: int) -> Record:
    """Send an image to every model at every URL, once a request, and keep every sample."""
    data, record = image.read_bytes(), Record(benchmark="latency")
    with ExitStack() as stack:
        clients = {
            f"{model} {url}": stack.enter_context(Client(url, model)) for url in urls for model in models
        }
        turns = {name: _turn(client, data) for name, client in clients.items()}
        interleave(turns, _WARM_UP_REQUESTS)
        samples = interleave(turns, requests)
    config = {"image_bytes": len(data), "requests": requests}
    record.add(ExperimentResult("one image a request", config, warm_results(samples)))
    record.facts["summary"] = {
        name: percentiles(np.multiply(values, 1e3)) for name, values in samples.items()
    }
    return record


def latency_table(record: Record) -> str:
    """Return the percentiles of every target as plain text."""
    [case] = record.cases
    rows = [("model and server", "p50", "p90", "p99", "max")]
    for name, values in record.facts["summary"].items():
        rows.append((name, *("" if value is None else f"{value:.2f} ms" for value in values.values())))
    count, size = case.config["requests"], case.config["image_bytes"]
    return f"{count} interleaved requests for each, with an image of {size:,} bytes\n{aligned(rows)}"


def _turn(client: Client, data: bytes) -> Turn:
    """Return a turn that sends one request."""

    def request() -> float:
        start = time.perf_counter_ns()
        client.predict([data])
        return (time.perf_counter_ns() - start) / 1e9

    return request


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("serving.latency", __doc__ or "")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="JPEG or PNG file to send")
    parser.add_argument(
        "--url", "-u", action="append", help="server, by default grpc://127.0.0.1:8001; repeatable"
    )
    parser.add_argument(
        "--model",
        action="append",
        help="served model, by default expression and expression_fused; repeatable",
    )
    add_count(parser, "--requests", 200, 2, "counted requests to each target")
    options = parser.parse_args(arguments)
    urls, models = options.url or ["grpc://127.0.0.1:8001"], options.model or MODELS
    if len(set(urls)) != len(urls) or len(set(models)) != len(models):
        raise UsageError("--url and --model must not repeat a value: each pair is one target")
    record = measure(urls, models, options.image, options.requests)
    report(record, latency_table(record), options)
    return 0


if __name__ == "__main__":
    main(run)
