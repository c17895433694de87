"""Measurement of every candidate of every case, after a check of its outputs."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.attention._candidates import (
    FUSED,
    TOLERANCES,
    Candidate,
    Parameters,
    candidates,
    expected_outputs,
)
from lnlattennet.benchmarks.attention._cases import Case, make_pool, rotation_length, views_of
from lnlattennet.benchmarks.attention._requirements import COPY_RATE, requirement_results
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._cuda_graph import Graph, copy_bandwidth, graph_turn, launches
from lnlattennet.benchmarks.harness._experiment import (
    Outputs,
    Settings,
    begin_record,
    check_outputs,
    run_experiments,
)
from lnlattennet.benchmarks.harness._record import CandidateResult, ExperimentResult, Record, Timing
from lnlattennet.benchmarks.harness._timing import host_turn

WARM_CALLS = 20
"""Calls on one input in a CUDA graph."""


def measure(settings: Settings, cases: Sequence[Case], output: Path | None = None) -> Record:
    """Measure cases; see ``run_experiments``.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
        LnlAttenNetError: the fused op gave wrong outputs.
    """
    record = begin_record("attention", settings)
    if settings.device == "cuda":
        bandwidth, samples = copy_bandwidth()
        record.facts |= {COPY_RATE: bandwidth, "copy_samples_us": Timing.from_seconds(samples).samples_us}
        say(f"copy bandwidth: {bandwidth / 1e9:.0f} GB/s, read and written")
    pools = _Pools(settings, cases)

    def run(case: Case) -> ExperimentResult:
        return _run_experiment(case, settings, pools.features(case))

    return run_experiments(record, settings, cases, run, requirement_results, output)


class _Pools:
    """Memory that inputs are views of, one type at a time."""

    def __init__(self, settings: Settings, cases: Sequence[Case]) -> None:
        self._settings = settings
        self._pool = torch.empty(0)
        self._sizes: dict[torch.dtype, int] = {}
        for case in cases:
            size = rotation_length(case, settings.cache_bytes) * case.elements
            self._sizes[case.torch_dtype] = max(size, self._sizes.get(case.torch_dtype, 0))

    def features(self, case: Case) -> list[Tensor]:
        """Return the maps of a case, in rotation."""
        dtype = case.torch_dtype
        if self._pool.dtype != dtype or not self._pool.numel():
            self._pool = torch.empty(0)  # frees the old pool before the new one is allocated
            self._pool = make_pool(self._sizes[dtype], dtype, self._settings.device)
        return views_of(self._pool, case, rotation_length(case, self._settings.cache_bytes))


def _run_experiment(case: Case, settings: Settings, features: list[Tensor]) -> ExperimentResult:
    # A compiler's cache is by code, not by shape: without this it would give up after eight cases.
    torch.compiler.reset()
    parameters = Parameters.of(case, settings.device)
    with torch.inference_mode(not case.backward):
        expected = expected_outputs(case, parameters, features[0])
        results, ready = {}, []
        for candidate in candidates(case, parameters, features[0]):
            results[candidate.name] = _prepare(candidate, case, features[0], expected)
            if not results[candidate.name].failed:
                ready.append(candidate)
        timings: dict[str, dict[str, Timing]] = {name: {} for name in results}
        for state, turns in _states(settings.device, ready, features, case, expected):
            for name, samples in interleave(turns, *settings.rounds).items():
                timings[name][state] = Timing.from_seconds(samples)
    sizes = {
        "feature_bytes": case.feature_bytes,
        "traffic_bytes": case.traffic_bytes,
        "rotated_maps": len(features),
    }
    measured = {name: dataclasses.replace(results[name], timings=timings[name]) for name in results}
    return ExperimentResult(case.name, dataclasses.asdict(case) | sizes, measured)


def _prepare(candidate: Candidate, case: Case, features: Tensor, expected: Outputs) -> CandidateResult:
    """Call a candidate and check it; one that cannot run is recorded, but the fused op must run."""
    try:
        with _environment(candidate.environment):
            start = time.perf_counter()
            candidate.call(features)
            seconds = time.perf_counter() - start
            if not candidate.checked:
                return CandidateResult(prepare_seconds=seconds)
            error = _check(candidate, case, candidate.call(features), expected)
            started = launches(candidate.call, features) if features.is_cuda else ()
            return CandidateResult(relative_error=error, prepare_seconds=seconds, launches=tuple(started))
    except Exception as error:  # whatever a compiler may raise; it must not cost the others their figures
        if candidate.name == FUSED:
            raise
        reason = str(error).partition("\n")[0]
        say(f"  {case.name}: {candidate.name} left out: {reason}")
        return CandidateResult(failed=reason)


def _check(candidate: Candidate, case: Case, outputs: Outputs, expected: Outputs) -> float:
    return check_outputs(f"{candidate.name} on {case.name}", outputs, expected, TOLERANCES[case.dtype])


def _states(
    device: str, ready: Sequence[Candidate], features: list[Tensor], case: Case, expected: Outputs
) -> Iterator[tuple[str, dict[str, Turn]]]:
    """Give the states of the caches that a device is measured in, each with a turn for every candidate.

    On a GPU "launch" is one call in a graph of its own: what a lone call costs, launch included. "warm"
    and "cold" are many calls in one graph, on one input and on inputs in rotation.
    """
    if device == "cpu":
        yield "warm", {candidate.name: host_turn(candidate.call, features[:1]) for candidate in ready}
        yield "cold", {candidate.name: host_turn(candidate.call, features) for candidate in ready}
        return
    for state, inputs in (("launch", features[:1]), ("warm", features[:1] * WARM_CALLS), ("cold", features)):
        turns = {}
        for candidate in ready:
            with _environment(candidate.environment):
                graph = Graph(candidate.call, inputs)
            graph.replay()
            if candidate.checked and state != "cold":
                _check(candidate, case, graph.outputs, expected)
            turns[candidate.name] = graph_turn(graph)
        yield state, turns


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
