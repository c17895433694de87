"""Latency of a served model as a client sees it: encoded picture in, expression out.

    python -m lnlattennet.benchmarks.serving.latency PHOTO --url grpc://127.0.0.1:8001 --requests 200

Every target (URL and model) is asked in turn within each round, so that a drifting machine is fair to all.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from lnlattennet import __version__
from lnlattennet._command import print_json, run_app
from lnlattennet._console import stdout
from lnlattennet._interleave import interleave
from lnlattennet.errors import UsageError
from lnlattennet.serving.client._client import Client

_WARM_UP_REQUESTS = 10


def percentiles(samples: list[float]) -> dict[str, float]:
    """Return p50, p90, p99 and the largest of durations in milliseconds."""
    p50, p90, p99 = np.percentile(samples, [50, 90, 99])
    return {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "max_ms": max(samples)}


def latency_record(urls: list[str], models: list[str], photo: Path, requests: int) -> dict[str, Any]:
    """Measure every URL and model with one picture per request; keep every sample."""
    data = photo.read_bytes()
    with ExitStack() as stack:
        targets: dict[str, Callable[[], float]] = {}
        for url in urls:
            for model in models:
                client = stack.enter_context(Client(url, model))
                targets[f"{model} {url}"] = _request(client, data)
        for target in targets.values():
            for _ in range(_WARM_UP_REQUESTS):
                target()
        samples = interleave(targets, requests)
    return {
        "benchmark": "latency",
        "lnlattennet": __version__,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs",
        "photo_bytes": len(data),
        "requests": requests,
        "summary": {name: percentiles(values) for name, values in samples.items()},
        "samples_ms": samples,
    }


def print_record(record: dict[str, Any]) -> None:
    """Print a record's percentiles as a table."""
    title = f"{record['requests']} requests each, interleaved, a {record['photo_bytes']:,}-byte photo in each"
    table = Table("model and server", "p50", "p90", "p99", "max", title=title)
    for name, values in record["summary"].items():
        table.add_row(name, *(f"{value:.2f} ms" for value in values.values()))
    stdout().print(table)


def latency(
    photo: Annotated[Path, typer.Argument(help="JPEG or PNG file to send.", exists=True, dir_okay=False)],
    url: Annotated[list[str] | None, typer.Option("--url", "-u", help="Server; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Served model; repeatable.")] = None,
    requests: Annotated[int, typer.Option(min=2, help="Counted requests per server and model.")] = 200,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the record here.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Measure the latency of a served model over gRPC or HTTP."""
    urls, models = url or ["grpc://127.0.0.1:8001"], model or ["expression", "expression_fused"]
    if len(set(urls)) != len(urls) or len(set(models)) != len(models):
        raise UsageError("--url and --model must not repeat a value: each pair is one target")
    record = latency_record(urls, models, photo, requests)
    if output:
        output.write_text(json.dumps(record, indent=2) + "\n")
    print_json(record) if json_output else print_record(record)


def _request(client: Client, data: bytes) -> Callable[[], float]:
    """Return a call that sends one request and returns its milliseconds."""

    def request() -> float:
        start = time.perf_counter_ns()
        client.predict([data])
        return (time.perf_counter_ns() - start) / 1e6

    return request


def main() -> None:
    """Entry point of ``python -m lnlattennet.benchmarks.serving.latency``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(latency)
    run_app(app)


if __name__ == "__main__":
    main()
