"""Check and time every rival of every case."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.attention._candidates import (
    FUSED,
    TOLERANCES,
    Outputs,
    Parameters,
    Rival,
    expected_outputs,
    first_call,
    largest_error,
    rivals,
)
from lnlattennet.benchmarks.attention._cases import Case, make_pool, rotation_length, views_of
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._cuda_graph import Graph, copy_bandwidth, graph_turn, launches
from lnlattennet.benchmarks.harness._hardware import last_level_cache
from lnlattennet.benchmarks.harness._timing import host_turn, summarize
from lnlattennet.errors import LnlAttenNetError

WARM_CALLS = 20
"""Calls on one input in a CUDA graph."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        device: "cpu" or "cuda".
        threads: torch's.
        quick: few rounds and a rotation that no cache is too small for.
        time_limit: seconds; no case is begun, but the first, that might not end by then.
    """

    device: str
    threads: int
    quick: bool = False
    time_limit: float = float("inf")

    @property
    def seconds(self) -> float:
        """Of one case in one state of the cache."""
        return 0.05 if self.quick else {"cpu": 1.5, "cuda": 0.4}[self.device]

    @property
    def rounds(self) -> tuple[int, int]:
        """The fewest and the most."""
        return (3, 5) if self.quick else {"cpu": (9, 200), "cuda": (15, 100)}[self.device]

    @property
    def cache_bytes(self) -> int:
        """What "cold" inputs must exceed."""
        if self.quick:
            return 2**22
        if self.device == "cuda":
            return int(torch.cuda.get_device_properties(0).L2_cache_size)
        return last_level_cache() or 2**26


def measure_cases(settings: Settings, cases: Sequence[Case], record: dict[str, Any]) -> Iterator[None]:
    """Measure cases in order while time is left; adds to the record, and yields after each.

    Adds "cases" with every sample, "skipped" with names, and on CUDA the copy bandwidth.
    """
    record |= {"cases": [], "skipped": []}
    if settings.device == "cuda":
        bandwidth, samples = copy_bandwidth()
        record |= {"copy_bytes_per_second": bandwidth, "copy_samples_us": _microseconds(samples)}
        say(f"copy bandwidth: {bandwidth / 1e9:.0f} GB/s, read and written")
    begun, longest = time.monotonic(), 0.0
    pools = _Pools(settings, cases)
    for index, case in enumerate(cases, 1):
        before = time.monotonic()
        if record["cases"] and before - begun + longest > settings.time_limit:
            record["skipped"].append(case.name)
            continue
        measured = _measure_case(case, settings, pools)
        record["cases"].append(measured)
        longest = max(longest, time.monotonic() - before)
        say(f"[{index}/{len(cases)}] {_progress(measured)}")
        yield


class _Pools:
    """The memory that inputs are views of, one type at a time."""

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
            self._pool = torch.empty(0)  # the old one goes before the new one comes
            self._pool = make_pool(self._sizes[dtype], dtype, self._settings.device)
        return views_of(self._pool, case, rotation_length(case, self._settings.cache_bytes))


def _measure_case(case: Case, settings: Settings, pools: _Pools) -> dict[str, Any]:
    # A compiler's cache is by code, not by shape: without this it would give up after eight cases.
    torch.compiler.reset()
    features = pools.features(case)
    parameters = Parameters.of(case, settings.device)
    with torch.inference_mode(not case.backward):
        expected = expected_outputs(case, parameters, features[0])
        results: dict[str, dict[str, Any]] = {}
        ready = []
        for rival in rivals(case, parameters, features[0]):
            results[rival.name] = _prepare(rival, case, features[0], expected)
            if "failed" not in results[rival.name]:
                ready.append(rival)
        for state, turns in _states(settings.device, ready, features, case, expected):
            for name, samples in interleave(turns, *settings.rounds, settings.seconds).items():
                results[name][state] = {**summarize(samples), "samples_us": _microseconds(samples)}
    return {
        "name": case.name,
        **dataclasses.asdict(case),
        "feature_bytes": case.feature_bytes,
        "traffic_bytes": case.traffic_bytes,
        "rotated_maps": len(features),
        "rivals": results,
    }


def _prepare(rival: Rival, case: Case, features: Tensor, expected: Outputs) -> dict[str, Any]:
    """Call a rival once and check it; a rival that cannot run is recorded, the fused op must."""
    result: dict[str, Any] = {}
    try:
        with _environment(rival.environment):
            seconds = first_call(rival, features)
            if rival.compiled:
                result["compile_seconds"] = seconds
            if rival.checked:
                result["relative_error"] = _check(rival, case, rival.call(features), expected)
            if features.is_cuda and rival.checked:
                result["launches"] = launches(rival.call, features)
    except Exception as error:  # whatever a compiler may raise; it must not cost the others their figures
        if rival.name == FUSED:
            raise
        result["failed"] = str(error).partition("\n")[0]
        say(f"  {case.name}: {rival.name} left out: {result['failed']}")
    return result


def _check(rival: Rival, case: Case, outputs: Outputs, expected: Outputs) -> float:
    error, largest = largest_error(outputs, expected), TOLERANCES[case.dtype]
    # Written so that NaN fails.
    if not error <= largest:
        raise LnlAttenNetError(
            f"{rival.name} is wrong on {case.name}: its outputs differ from the reference by {error:.2g} "
            f"of their norm, and {largest:.2g} is allowed; nothing wrong is timed"
        )
    return error


def _states(
    device: str, ready: Sequence[Rival], features: list[Tensor], case: Case, expected: Outputs
) -> Iterator[tuple[str, dict[str, Turn]]]:
    """Give the states of the cache that a device is measured in, each with a turn for every rival.

    On a GPU "launch" is one call in a graph of its own: what a lone call costs, launch included. "warm"
    and "cold" are many calls in one graph, on one input and on inputs in rotation.
    """
    if device == "cpu":
        yield "warm", {rival.name: host_turn(rival.call, features[:1]) for rival in ready}
        yield "cold", {rival.name: host_turn(rival.call, features) for rival in ready}
        return
    for state, inputs in (("launch", features[:1]), ("warm", features[:1] * WARM_CALLS), ("cold", features)):
        turns = {}
        for rival in ready:
            with _environment(rival.environment):
                graph = Graph(rival.call, inputs)
            graph.replay()
            if rival.checked and state != "cold":
                _check(rival, case, graph.outputs, expected)
            turns[rival.name] = graph_turn(graph)
        yield state, turns


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
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


def _microseconds(samples: Sequence[float]) -> list[float]:
    return [round(sample * 1e6, 3) for sample in samples]


def _progress(measured: dict[str, Any]) -> str:
    states = [state for state in ("launch", "warm", "cold") if state in measured["rivals"][FUSED]]
    times = [f"{state} {measured['rivals'][FUSED][state]['median_us']:.1f} us" for state in states]
    return f"{measured['name']}: {FUSED} {', '.join(times)}"
