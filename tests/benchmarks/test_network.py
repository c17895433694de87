"""The whole network's benchmark: right answers before times, every sample kept, missing candidates named."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lnlattennet.benchmarks.harness._experiment import Settings, choose_cases, relative_error
from lnlattennet.benchmarks.harness._record import CandidateResult, ExperimentResult, Record, Timing
from lnlattennet.benchmarks.harness._tables import timing_table
from lnlattennet.benchmarks.network import _measure
from lnlattennet.benchmarks.network.__main__ import exit_code
from lnlattennet.benchmarks.network._cases import (
    TOLERANCES,
    NetworkCase,
    expected_outputs,
    images,
    network_cases,
    random_network,
)
from lnlattennet.benchmarks.network._measure import CANDIDATES, measure
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT
from lnlattennet.benchmarks.network._requirements import requirement_results
from lnlattennet.benchmarks.network._torch_candidates import (
    AOTI,
    COMPILED,
    EAGER,
    NO_GPU,
    Call,
    NetworkBuilds,
    eager,
)
from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig

SMALL = NetworkConfig(image_size=48, widths=(8, 12), channels=8, local_features=6, affinity_features=4)
QUICK = Settings("cpu", 1, quick=True)
CASE = NetworkCase("fp32", 2)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure some candidates, or others in their places."""

    def replace(**candidates: Any) -> None:
        names = {"aoti": AOTI, "eager": EAGER, "onnxruntime": ONNX_RUNTIME, "tensorrt": TENSORRT}
        monkeypatch.setattr(
            _measure, "CANDIDATES", {names[name]: prepare for name, prepare in candidates.items()}
        )

    return replace


def scaled(factor: float) -> Any:
    """A candidate whose logits are wrong by a factor."""

    def prepare(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Call, str]:
        network = builds.in_precision(case.precision)

        def call(image: Tensor) -> tuple[Tensor, ...]:
            logits, *others = network(image)
            return logits * factor, *others

        return Call(call, image), NO_GPU

    return prepare


def measured(*cases: NetworkCase, settings: Settings = QUICK) -> Record:
    return measure(settings, cases, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "subject",
    # tests/runtimes/torch compiles such a package in every run.
    [
        pytest.param(eager, id="eager"),
        pytest.param(CANDIDATES[AOTI], id="aoti", marks=pytest.mark.exhaustive),
    ],
)
def test_a_run_checks_aoti_onnxruntime_and_tensorrt_and_writes_every_sample(
    subject: Any, only: Any, tmp_path: Path
) -> None:
    """In `make test` with torch eager in AOTInductor's place."""
    only(aoti=subject, eager=eager, onnxruntime=CANDIDATES[ONNX_RUNTIME], tensorrt=CANDIDATES[TENSORRT])
    output = tmp_path / "record.json"
    record = measure(QUICK, [CASE], SMALL, output)
    assert json.loads(output.read_text()) == json.loads(json.dumps(record.to_json()))
    assert exit_code(record) == 0
    results = record.cases[0].candidates
    for name in (AOTI, EAGER, ONNX_RUNTIME):
        result = results[name]
        assert 3 <= len(result.timings["warm"].samples_us) <= 5
        assert result.relative_error is not None
        assert result.relative_error < 1e-5
        states = record.facts["counters"]
        assert list(result.counters["warm"]) == [
            counter for counter in states if states[counter] == "counted"
        ]
    # TensorRT-RTX builds its engine here, and says what it lacks to run it.
    assert "needs a GPU to run it" in results[TENSORRT].failed
    status = {row.text: row.status for row in record.requirements}
    assert status["time of ONNX Runtime over AOTInductor's"] == "nothing required"
    assert status["time of TensorRT over AOTInductor's"] == "not measured"
    assert status["time of torch eager over AOTInductor's"] in {"reached", "missed", "undecided"}


@pytest.mark.parametrize("factor", [1.1, math.nan])
def test_a_wrong_candidate_is_named_and_not_timed(factor: float, only: Any) -> None:
    only(aoti=eager, eager=scaled(factor))
    record = measured(CASE)
    result = record.cases[0].candidates[EAGER]
    assert "torch eager is wrong" in result.failed
    assert not result.timings
    assert f"{EAGER} is left out: {EAGER} is wrong" in timing_table(record, AOTI)
    assert exit_code(record) == 0


def test_a_wrong_subject_is_exit_code_1_and_the_others_keep_their_figures(
    only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    only(aoti=scaled(1.1), eager=eager)
    record = measured(CASE)
    assert record.cases[0].candidates[EAGER].timings["warm"].samples_us
    assert exit_code(record) == 1
    assert "AOTInductor was not measured; fp32/b2: " in capsys.readouterr().err


def test_a_missing_package_is_a_reason(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    only(aoti=eager, onnxruntime=CANDIDATES[ONNX_RUNTIME], tensorrt=CANDIDATES[TENSORRT])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("lnlattennet.benchmarks.network._onnx_candidates.find_spec", lambda name: None)
    results = measured(CASE).cases[0].candidates
    assert "onnxruntime" in results[ONNX_RUNTIME].failed
    assert results[TENSORRT].failed == "neither 'tensorrt' nor 'tensorrt_rtx' is installed"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_half_precision_is_within_its_tolerance_and_not_within_float32s(precision: str) -> None:
    network, image = random_network(SMALL, "cpu"), images(SMALL, 4, "cpu")
    builds = NetworkBuilds(SMALL, "cpu", Path())
    outputs = builds.in_precision(precision)(image)
    assert all(output.dtype == torch.float32 for output in outputs)
    error = relative_error(outputs, expected_outputs(network, image))
    assert TOLERANCES["fp32"] < error < TOLERANCES[precision]


def test_answers_differ_between_images_and_regions_by_more_than_any_tolerance() -> None:
    network = random_network(SMALL, "cpu")
    logits, weights, affinity = expected_outputs(network, images(SMALL, 8, "cpu", seed=8))
    for output, dimension in ((logits, 0), (weights, 1), (affinity, 2)):
        spread = (output - output.mean(dim=dimension, keepdim=True)).norm() / output.norm()
        assert spread > 3 * TOLERANCES["bf16"]


def test_a_time_limit_skips_cases_and_names_them(only: Any) -> None:
    only(aoti=eager)
    record = measured(CASE, NetworkCase("bf16", 1), settings=Settings("cpu", 1, quick=True, time_limit=1e-3))
    assert [case.name for case in record.cases] == ["fp32/b2"]
    assert record.skipped == ["bf16/b1"]


def test_an_unsteady_ratio_is_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    steady, unsteady = [10.0] * 20, [10.0, 30.0] * 10
    timed = {AOTI: steady, EAGER: unsteady}
    results = {name: CandidateResult({"warm": Timing.from_seconds(timed[name])}) for name in timed}
    results |= {name: CandidateResult(failed="not here") for name in (COMPILED, ONNX_RUNTIME, TENSORRT)}
    record = Record(benchmark="network", cases=[ExperimentResult("fp16/b1", {}, results)])
    record.requirements = requirement_results(record)
    assert exit_code(record) == 5
    assert "time of torch eager over AOTInductor's, fp16/b1" in capsys.readouterr().err


def test_cases_are_those_of_the_device_and_unknown_ones_are_refused() -> None:
    names = [case.name for case in network_cases("cuda")]
    assert names == ["fp16/b1", "fp16/b8", "fp16/b64", "bf16/b1", "bf16/b8", "bf16/b64"]
    assert [case.batch for case in choose_cases(network_cases("cpu"), ["bf16/*"])] == [1, 8]
    with pytest.raises(UsageError, match="matches none of: fp32/b1"):
        choose_cases(network_cases("cpu"), ["fp16/*"])
