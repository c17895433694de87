"""Prepare, check and time every rival of every case of `benchmarks/network/__main__.py`."""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.attention._candidates import largest_error
from lnlattennet.benchmarks.attention._measure import Settings
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._cuda_graph import graph_turn
from lnlattennet.benchmarks.harness._timing import host_turn, summarize
from lnlattennet.benchmarks.network._cases import TOLERANCES, EngineCase, Outputs, expected_outputs, images
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT, onnxruntime, tensorrt
from lnlattennet.benchmarks.network._torch_candidates import (
    AOTI,
    COMPILED,
    EAGER,
    Prepared,
    Workbench,
    aoti,
    compiled,
    eager,
)
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.model._config import NetworkConfig

Prepare = Callable[[Workbench, EngineCase, Tensor], tuple[Prepared, str]]

RIVALS: Mapping[str, Prepare] = {
    AOTI: aoti,
    EAGER: eager,
    ONNX_RUNTIME: onnxruntime,
    TENSORRT: tensorrt,
    COMPILED: compiled,
}


def measure_engines(
    settings: Settings, cases: Sequence[EngineCase], config: NetworkConfig, record: dict[str, Any]
) -> Iterator[None]:
    """Measure cases in order while time is left; adds to the record, and yields after each.

    Adds "cases" with every sample, and "skipped" with names.
    """
    record |= {"cases": [], "skipped": []}
    begun, longest = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), _stream(settings.device):
        bench = Workbench(config, settings.device, Path(folder))
        for case in cases:
            before = time.monotonic()
            if record["cases"] and before - begun + longest > settings.time_limit:
                record["skipped"].append(case.name)
                continue
            record["cases"].append(_measure_case(bench, case, settings))
            longest = max(longest, time.monotonic() - before)
            yield


def _stream(device: str) -> AbstractContextManager[Any]:
    """A stream of its own: ONNX Runtime can be given any but the default one."""
    if device == "cpu":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]


def _measure_case(bench: Workbench, case: EngineCase, settings: Settings) -> dict[str, Any]:
    torch.compiler.reset()
    image = images(bench.config, case.batch, bench.device, seed=case.batch)
    expected = expected_outputs(bench.network, image)
    results: dict[str, dict[str, Any]] = {}
    turns: dict[str, Turn] = {}
    for name, prepare in RIVALS.items():
        started = time.monotonic()
        # Whatever a compiler may raise must not cost the others their figures.
        try:
            with warnings.catch_warnings():
                # Deprecations inside of compilers and runtimes say nothing about this network.
                warnings.simplefilter("ignore")
                prepared, graph = prepare(bench, case, image)
            error = _check(name, case, prepared, expected)
        except Exception as failure:
            results[name] = {"failed": str(failure).strip().partition("\n")[0] or repr(failure)}
        else:
            results[name] = {"relative_error": error, "cuda_graph": graph}
            turns[name] = _turn(prepared, image)
        results[name]["prepare_seconds"] = round(time.monotonic() - started, 2)
        say(f"  {case.name}: {name}: {results[name].get('failed', 'is right')}")
    for name, samples in interleave(turns, *settings.rounds, settings.seconds).items():
        results[name] |= summarize(samples) | {"samples_us": [round(value * 1e6, 3) for value in samples]}
    return {"name": case.name, **dataclasses.asdict(case), "rivals": results}


def _check(name: str, case: EngineCase, prepared: Prepared, expected: Outputs) -> float:
    """Return how far a replay's outputs are from the float32 network's; nothing wrong is timed."""
    prepared.replay()
    if expected[0].is_cuda:
        torch.cuda.synchronize()
    error, largest = largest_error(tuple(prepared.outputs), expected), TOLERANCES[case.precision]
    # Written so that NaN fails.
    if not error <= largest:
        raise LnlAttenNetError(
            f"{name} is wrong: its outputs differ from the float32 network's by {error:.2g} of their norm, "
            f"and {largest:.2g} is allowed"
        )
    return error


def _turn(prepared: Prepared, image: Tensor) -> Turn:
    if image.is_cuda:
        return graph_turn(prepared)
    return host_turn(lambda _: prepared.replay(), [image])
