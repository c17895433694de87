"""Measurement of every candidate of every case, after a check of its outputs."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.attention._candidates import (
    FUSED,
    ONE_ELEMENT,
    READ,
    TOLERANCES,
    VARIANT_VARIABLE,
    Candidate,
    Parameters,
    candidates,
    expected_outputs,
)
from lnlattennet.benchmarks.attention._cases import Case, make_pool, rotation_length, views_of
from lnlattennet.benchmarks.attention._requirements import COPY_RATE, requirement_results
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._counters import Counters
from lnlattennet.benchmarks.harness._experiment import (
    Outputs,
    Settings,
    begin_record,
    check_outputs,
    run_experiments,
)
from lnlattennet.benchmarks.harness._record import CandidateResult, ExperimentResult, Record, Timing
from lnlattennet.benchmarks.harness._turns import Graph, copy_bandwidth, graph_turn, host_turn, launches

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

    def run(case: Case) -> ExperimentResult:
        count = rotation_length(case, settings.cache_bytes)
        pool = make_pool(count * case.elements, case.torch_dtype, settings.device)
        return _run_experiment(case, settings, views_of(pool, case, count))

    return run_experiments(record, settings, cases, run, requirement_results, output)


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
        with Counters() as counters:
            for state, turns in _states(settings.device, ready, features, case, expected, counters):
                for name, samples in interleave(turns, *settings.rounds).items():
                    timings[name][state] = Timing.from_seconds(samples)
    measured = {}
    for name, result in results.items():
        moved = {READ: case.feature_bytes, ONE_ELEMENT: 0}.get(name, case.traffic_bytes)
        measured[name] = dataclasses.replace(
            result, timings=timings[name], moved_bytes=moved, counters=counters.per_call(name)
        )
    sizes = {"feature_bytes": case.feature_bytes, "traffic_bytes": case.traffic_bytes}
    config = dataclasses.asdict(case) | sizes | {"rotated_maps": len(features)}
    return ExperimentResult(case.name, config, measured)


def _prepare(candidate: Candidate, case: Case, features: Tensor, expected: Outputs) -> CandidateResult:
    """Call a candidate and check it; one that cannot run is recorded, but the fused op must run."""
    try:
        os.environ[VARIANT_VARIABLE] = candidate.variant
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
    device: str,
    ready: Sequence[Candidate],
    features: list[Tensor],
    case: Case,
    expected: Outputs,
    counters: Counters,
) -> Iterator[tuple[str, dict[str, Turn]]]:
    """Give the states of the caches that a device is measured in, each with a turn for every candidate.

    On a GPU "launch" is one call in a graph of its own: what a lone call costs, launch included. "warm"
    and "cold" are many calls in one graph, on one input and on inputs in rotation.
    """
    if device == "cpu":
        for state, inputs in (("warm", features[:1]), ("cold", features)):
            yield (
                state,
                {
                    candidate.name: host_turn(candidate.call, inputs, counters.around(candidate.name, state))
                    for candidate in ready
                },
            )
        return
    for state, inputs in (("launch", features[:1]), ("warm", features[:1] * WARM_CALLS), ("cold", features)):
        turns = {}
        for candidate in ready:
            os.environ[VARIANT_VARIABLE] = candidate.variant
            graph = Graph(candidate.call, inputs)
            graph.replay()
            if candidate.checked and state != "cold":
                _check(candidate, case, graph.outputs, expected)
            turns[candidate.name] = graph_turn(graph)
        yield state, turns
