"""Preparation, check and timing of every candidate of every case."""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._counters import Counters, Tally
from lnlattennet.benchmarks.harness._experiment import (
    Outputs,
    Settings,
    begin_record,
    check_outputs,
    run_experiments,
)
from lnlattennet.benchmarks.harness._record import (
    WARM,
    CandidateResult,
    ExperimentResult,
    Record,
    Timing,
)
from lnlattennet.benchmarks.harness._turns import Replayable, graph_turn, host_turn
from lnlattennet.benchmarks.network._cases import TOLERANCES, NetworkCase, expected_outputs, images
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT, onnxruntime, tensorrt
from lnlattennet.benchmarks.network._requirements import requirement_results
from lnlattennet.benchmarks.network._torch_candidates import (
    AOTI,
    COMPILED,
    EAGER,
    NetworkBuilds,
    aoti,
    compiled,
    eager,
)
from lnlattennet.model._config import NetworkConfig

Prepare = Callable[[NetworkBuilds, NetworkCase, Tensor], tuple[Replayable, str]]

CANDIDATES: Mapping[str, Prepare] = {
    AOTI: aoti,
    EAGER: eager,
    ONNX_RUNTIME: onnxruntime,
    TENSORRT: tensorrt,
    COMPILED: compiled,
}
_PACKAGES = ("triton", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt_rtx", "onnx")


def measure(
    settings: Settings, cases: Sequence[NetworkCase], config: NetworkConfig, output: Path | None = None
) -> Record:
    """Measure cases; see ``run_experiments``.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
    """
    network = config.to_dict() | {"weights": "random"}
    record = begin_record("network", settings, network=network, packages=_versions())
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), _stream(settings.device):
        builds = NetworkBuilds(config, settings.device, Path(folder))

        def run(case: NetworkCase) -> ExperimentResult:
            return _run_experiment(builds, case, settings)

        return run_experiments(record, settings, cases, run, requirement_results, output)


def _versions() -> dict[str, str]:
    """Return the versions of the packages that candidates need beside torch, as far as installed."""
    versions = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _stream(device: str) -> AbstractContextManager[Any]:
    """Return a new stream: ONNX Runtime accepts any except the default one."""
    if device == "cpu":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]


def _run_experiment(builds: NetworkBuilds, case: NetworkCase, settings: Settings) -> ExperimentResult:
    torch.compiler.reset()
    image = images(builds.config, case.batch, builds.device, seed=case.batch)
    expected = expected_outputs(builds.network, image)
    results: dict[str, CandidateResult] = {}
    ready: dict[str, Replayable] = {}
    for name, prepare in CANDIDATES.items():
        started = time.monotonic()
        # Whatever a compiler may raise must not cost the others their figures.
        try:
            with warnings.catch_warnings():
                # Deprecations inside of compilers and runtimes say nothing about this network.
                warnings.simplefilter("ignore")
                prepared, graph = prepare(builds, case, image)
            error = _check(name, case, prepared, expected)
        except Exception as failure:
            results[name] = CandidateResult(failed=str(failure).strip().partition("\n")[0] or repr(failure))
        else:
            results[name] = CandidateResult(relative_error=error, cuda_graph=graph)
            ready[name] = prepared
        seconds = round(time.monotonic() - started, 2)
        results[name] = dataclasses.replace(results[name], prepare_seconds=seconds)
        say(f"  {case.name}: {name}: {results[name].failed or 'is right'}")
    with Counters() as counters:
        turns = {
            name: graph_turn(prepared)
            if image.is_cuda
            else _host_turn(prepared, image, counters.around(name, WARM))
            for name, prepared in ready.items()
        }
        for name, samples in interleave(turns, *settings.rounds).items():
            timings, counted = {WARM: Timing.from_seconds(samples)}, counters.per_call(name)
            results[name] = dataclasses.replace(results[name], timings=timings, counters=counted)
    return ExperimentResult(case.name, dataclasses.asdict(case), results)


def _check(name: str, case: NetworkCase, prepared: Replayable, expected: Outputs) -> float:
    """Return how far a replay's outputs are from the float32 network's."""
    prepared.replay()
    if expected[0].is_cuda:
        torch.cuda.synchronize()
    return check_outputs(name, prepared.outputs, expected, TOLERANCES[case.precision])


def _host_turn(prepared: Replayable, image: Tensor, tally: Tally) -> Turn:
    return host_turn(lambda _: prepared.replay(), [image], tally)
