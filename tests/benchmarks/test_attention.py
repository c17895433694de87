"""The kernels' benchmark: right answers before times, every sample kept, honest verdicts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lnlattennet.benchmarks.attention import _candidates
from lnlattennet.benchmarks.attention._candidates import Parameters, candidates, expected_outputs
from lnlattennet.benchmarks.attention._cases import Case, cpu_cases, cuda_cases, make_pool, views_of
from lnlattennet.benchmarks.attention._measure import measure
from lnlattennet.benchmarks.attention._requirements import requirement_results, requirements
from lnlattennet.benchmarks.harness._experiment import Settings, choose_cases, relative_error, steadiness_code
from lnlattennet.benchmarks.harness._record import CandidateResult, ExperimentResult, Record, Timing
from lnlattennet.benchmarks.harness._turns import host_turn
from lnlattennet.errors import LnlAttenNetError, UsageError

ROOT = Path(__file__).parents[2]
NAME = "attention/float32/channels_last/c64x56/b1"


def run_module(module: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"lnlattennet.benchmarks.{module}", *map(str, arguments)]
    environment = os.environ | variables
    return subprocess.run(
        command, capture_output=True, text=True, timeout=250, check=False, env=environment, cwd=ROOT
    )


@pytest.mark.slow
def test_a_quick_run_checks_every_candidate_and_records_every_sample(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    done = run_module("attention", "--quick", "--threads", 1, "--case", NAME, "--json", "--output", path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads(path.read_text())
    assert record["machine"]["threads"] == 1
    assert record["kernel"] in {"avx512_bf16", "avx512", "avx2", "generic"}
    (case,) = record["cases"]
    config = case["config"]
    assert (case["name"], config["feature_bytes"]) == (NAME, 64 * 56 * 56 * 4)
    assert config["traffic_bytes"] == config["feature_bytes"] + 16 * 2 * 64 * 4
    assert len(case["candidates"]) == 6
    for name, result in case["candidates"].items():
        assert not result["failed"], name
        assert name == _candidates.READ or result["relative_error"] < 1e-4
        for state in ("warm", "cold"):
            samples = result["timings"][state]["samples_us"]
            assert 3 <= len(samples) <= 5
            assert result["timings"][state]["median_us"] == pytest.approx(np.median(samples), abs=1e-3)
    assert {row["status"] for row in record["requirements"]} == {"not measured"}


def test_a_benchmark_of_the_reference_against_itself_is_refused() -> None:
    done = run_module("attention", "--quick", "--case", NAME, LNLATTENNET_KERNELS="reference")
    assert done.returncode == 4
    assert "plain torch reference" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("dtype", "layout", "work"),
    list(
        itertools.product(
            ("float32", "bfloat16"),
            ("channels_last", "contiguous"),
            ("attention", "attention+backward", "attention+nonlocal"),
        )
    ),
)
def test_candidates_agree(dtype: str, layout: str, work: str) -> None:
    case = Case(2, 8, 12, dtype, layout, backward="backward" in work, nonlocal_attention="nonlocal" in work)
    parameters = Parameters.of(case, "cpu")
    (features,) = views_of(make_pool(case.elements, case.torch_dtype, "cpu"), case, 1)
    expected = expected_outputs(case, parameters, features)
    for candidate in candidates(case, parameters, features):
        if candidate.checked and candidate.name not in _candidates.COMPILED:
            error = relative_error(candidate.call(features), expected)
            assert error < _candidates.TOLERANCES[dtype], candidate.name


@pytest.mark.parametrize("value", [0.5, math.nan])
def test_a_wrong_op_is_not_timed(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        batch, (regions, heads, channels) = features.shape[0], query.shape
        return torch.full((batch, regions, heads, channels), value), torch.ones(batch, regions, channels)

    monkeypatch.setattr(_candidates, "fused_operator", lambda case: wrong)
    with pytest.raises(LnlAttenNetError, match=r"fused on .* is wrong"):
        measure(Settings("cpu", 1, quick=True), [Case(1, 8, 8)])


def test_a_time_limit_skips_cases_and_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lnlattennet.benchmarks.attention._measure.candidates",
        lambda *arguments: [item for item in candidates(*arguments) if item.name not in _candidates.COMPILED],
    )
    cases = [Case(1, 8, 8), Case(2, 8, 8)]
    record = measure(Settings("cpu", 1, quick=True, time_limit=1e-3), cases, tmp_path / "record.json")
    assert [case.name for case in record.cases] == [cases[0].name]
    assert record.skipped == [cases[1].name]
    written = json.loads((tmp_path / "record.json").read_text())
    assert written["skipped"] == record.skipped
    there = {name for name, state in written["counters"].items() if state == "counted"}
    for result in written["cases"][0]["candidates"].values():
        assert set(result["counters"]) == {"warm", "cold"}
        assert all(counted.keys() == there for counted in result["counters"].values())


def test_inputs_lie_side_by_side_in_the_layout_of_their_case() -> None:
    for layout, format_ in (("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)):
        case = Case(2, 3, 4, layout=layout, backward=True)
        views = views_of(torch.arange(3.0 * case.elements), case, 3)
        assert all(view.is_contiguous(memory_format=format_) and view.requires_grad for view in views)
        assert [int(view.detach().min()) for view in views] == [0, case.elements, 2 * case.elements]


def test_cases_have_distinct_names_and_unknown_ones_are_refused() -> None:
    for cases in (cpu_cases(), cuda_cases()):
        assert len({case.name for case in cases}) == len(cases)
    assert [case.batch for case in choose_cases(cpu_cases(), ["attention/*/contiguous/c64x56/b64"])] == [64]
    with pytest.raises(UsageError, match="matches none of"):
        choose_cases(cpu_cases(), ["nothing/*"])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_requirement_is_about_a_measured_case(device: str) -> None:
    measured = cuda_cases() if device == "cuda" else cpu_cases()
    assert {required.case for required, _ in requirements(device)} <= {case.name for case in measured}


def test_a_turn_goes_round_all_inputs() -> None:
    seen: list[float] = []
    turn = host_turn(lambda features: seen.append(features.item()), list(torch.arange(3.0)))
    assert all(turn() > 0 for _ in range(3))
    assert seen == [0, 1, 2, 0, 1, 2]


def record_of(case: Case, device: str, **seconds: list[float]) -> Record:
    names = {"sdpa": _candidates.MASKED, "read": _candidates.READ, "one": _candidates.ONE_ELEMENT}
    states = ("launch", "warm", "cold")
    results = {
        names.get(name, name): CandidateResult({state: Timing.from_seconds(samples) for state in states})
        for name, samples in seconds.items()
    }
    sizes = {"backward": case.backward, "traffic_bytes": case.traffic_bytes}
    # The facts of a GPU cannot be read here.
    record = Record(benchmark="attention", facts={"copy_bytes_per_second": 4e12})
    record.device = device
    record.add(ExperimentResult(case.name, sizes, results))
    return record


def status_of(record: Record) -> dict[tuple[str, str], tuple[Any, str]]:
    record.requirements = requirement_results(record)
    return {
        (row.text, row.state): (pytest.approx(row.value, rel=1e-4), row.status)
        for row in record.requirements
        if row.value is not None
    }


def test_requirements_are_reached_or_missed_by_medians() -> None:
    record = record_of(Case(64), "cpu", fused=[10.0] * 9, eager=[260.0] * 9, sdpa=[40.0] * 9, read=[8.0] * 9)
    for state in ("warm", "cold"):
        found = status_of(record)
        assert found["over eager", state] == (26, "reached")
        assert found["over the best of compile and masked SDPA", state] == (4, "missed")
        assert found["share of what F.sum() reads per second", state] == (0.8, "reached")
    assert not any(row.unsteady for row in record.requirements)
    assert sum(row.status == "not measured" for row in record.requirements) > 10
    [row] = [row for row in record.requirements if row.state == "warm" and row.bound == 25]
    assert row.at_read_rate == pytest.approx(260 / 8)


def test_an_unsteady_ratio_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(Case(8), "cpu", fused=[10.0, 30.0] * 9, eager=[80.0] * 18)
    status_of(record)
    rows = [(row.text, row.case, row.state) for row in record.requirements if row.unsteady]
    assert rows == [("over eager", Case(8).name, state) for state in ("warm", "cold")]
    assert steadiness_code(record) == 5
    printed = capsys.readouterr().err
    assert f"over eager, {Case(8).name} warm; over eager, {Case(8).name} cold" in printed


def test_gpu_requirements_compare_with_the_copy_and_a_one_element_kernel() -> None:
    case = Case(256, dtype="float16")
    time_at_floor = case.traffic_bytes / 4e12
    found = status_of(record_of(case, "cuda", fused=[time_at_floor / 0.9] * 9))
    assert found["share of the copy bandwidth", "cold"] == (0.9, "reached")
    record = record_of(Case(1, dtype="float16"), "cuda", fused=[8.0] * 9, one=[5.0] * 9)
    [measured] = record.cases
    fused = dataclasses.replace(measured.candidates["fused"], launches=("region_attention", "memset"))
    results = {**measured.candidates, "fused": fused}
    record.cases = [dataclasses.replace(measured, candidates=results)]
    found = status_of(record)
    assert found["time over a one-element kernel's", "launch"] == (1.6, "missed")
    assert found["time over a one-element kernel's", "warm"] == (1.6, "nothing required")
    assert found["launches", ""] == (2, "missed")
