"""The whole network's benchmark: right answers before times, every sample kept, missing rivals named."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lnlattennet.benchmarks.attention._candidates import largest_error
from lnlattennet.benchmarks.attention._measure import Settings
from lnlattennet.benchmarks.harness._record import choose_cases
from lnlattennet.benchmarks.network import __main__ as torch_engines
from lnlattennet.benchmarks.network import _measure as torch_engine_measurement
from lnlattennet.benchmarks.network._cases import (
    TOLERANCES,
    EngineCase,
    engine_cases,
    expected_outputs,
    images,
    random_network,
)
from lnlattennet.benchmarks.network._measure import RIVALS
from lnlattennet.benchmarks.network._onnx_candidates import ONNX_RUNTIME, TENSORRT
from lnlattennet.benchmarks.network._tables import engine_requirement_rows, engine_table
from lnlattennet.benchmarks.network._torch_candidates import (
    AOTI,
    COMPILED,
    EAGER,
    NO_GPU,
    Call,
    Workbench,
    eager,
)
from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig

SMALL = NetworkConfig(image_size=48, widths=(8, 12), channels=8, local_features=6, affinity_features=4)
QUICK = Settings("cpu", 1, quick=True)
CASE = EngineCase("fp32", 2)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure some rivals, or others in their places."""

    def replace(**rivals: Any) -> None:
        names = {"aoti": AOTI, "eager": EAGER, "onnxruntime": ONNX_RUNTIME, "tensorrt": TENSORRT}
        monkeypatch.setattr(
            torch_engine_measurement, "RIVALS", {names[name]: rival for name, rival in rivals.items()}
        )

    return replace


def scaled(factor: float) -> Any:
    """A rival whose logits are wrong by a factor."""

    def prepare(bench: Workbench, case: EngineCase, image: Tensor) -> tuple[Call, str]:
        network = bench.in_precision(case.precision)

        def call(image: Tensor) -> tuple[Tensor, ...]:
            logits, *others = network(image)
            return logits * factor, *others

        return Call(call, image), NO_GPU

    return prepare


def measured(*cases: EngineCase, settings: Settings = QUICK) -> dict[str, Any]:
    record: dict[str, Any] = {"quick": settings.quick}
    list(torch_engine_measurement.measure_engines(settings, cases, SMALL, record))
    record["requirements"] = engine_requirement_rows(record)
    return record


@pytest.mark.slow
def test_a_run_checks_aoti_onnxruntime_and_tensorrt_and_writes_every_sample(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        torch_engine_measurement, "RIVALS", {name: RIVALS[name] for name in RIVALS if name != COMPILED}
    )
    output = tmp_path / "record.json"
    record = torch_engines.torch_engines_record(QUICK, [CASE], SMALL, output)
    assert json.loads(output.read_text()) == json.loads(json.dumps(record))
    assert torch_engines.exit_code(record) == 0
    results = record["cases"][0]["rivals"]
    for name in (AOTI, EAGER, ONNX_RUNTIME):
        assert 3 <= len(results[name]["samples_us"]) <= 5
        assert results[name]["relative_error"] < 1e-5
    # TensorRT-RTX builds its engine here, and says what it lacks to run it.
    assert "needs a GPU to run it" in results[TENSORRT]["failed"]
    status = {row["text"]: row["status"] for row in record["requirements"]}
    assert status["time of ONNX Runtime over AOTInductor's"] == "nothing required"
    assert status["time of TensorRT over AOTInductor's"] == "not measured"
    assert status["time of torch eager over AOTInductor's"] in {"reached", "missed"}


@pytest.mark.parametrize("factor", [1.1, math.nan])
def test_a_wrong_rival_is_named_and_not_timed(factor: float, only: Any) -> None:
    only(aoti=eager, eager=scaled(factor))
    record = measured(CASE)
    result = record["cases"][0]["rivals"][EAGER]
    assert "torch eager is wrong" in result["failed"]
    assert "samples_us" not in result
    assert f"{EAGER} is left out: {EAGER} is wrong" in engine_table(record)
    assert torch_engines.exit_code(record) == 0


def test_a_wrong_subject_is_exit_code_1_and_the_others_keep_their_figures(
    only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    only(aoti=scaled(1.1), eager=eager)
    record = measured(CASE)
    assert record["cases"][0]["rivals"][EAGER]["samples_us"]
    assert torch_engines.exit_code(record) == 1
    assert "AOTInductor was not measured; fp32/b2: " in capsys.readouterr().err


def test_a_missing_package_is_a_reason(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    only(aoti=eager, onnxruntime=RIVALS[ONNX_RUNTIME], tensorrt=RIVALS[TENSORRT])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("lnlattennet.benchmarks.network._onnx_candidates.find_spec", lambda name: None)
    results = measured(CASE)["cases"][0]["rivals"]
    assert "onnxruntime" in results[ONNX_RUNTIME]["failed"]
    assert results[TENSORRT]["failed"] == "neither 'tensorrt' nor 'tensorrt_rtx' is installed"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_half_precision_is_within_its_tolerance_and_not_within_float32s(precision: str) -> None:
    network, image = random_network(SMALL, "cpu"), images(SMALL, 4, "cpu")
    bench = Workbench(SMALL, "cpu", Path())
    outputs = bench.in_precision(precision)(image)
    assert all(output.dtype == torch.float32 for output in outputs)
    error = largest_error(outputs, expected_outputs(network, image))
    assert TOLERANCES["fp32"] < error < TOLERANCES[precision]


def test_answers_differ_between_images_and_regions_by_more_than_any_tolerance() -> None:
    network = random_network(SMALL, "cpu")
    logits, weights, affinity = expected_outputs(network, images(SMALL, 8, "cpu", seed=8))
    for output, dimension in ((logits, 0), (weights, 1), (affinity, 2)):
        spread = (output - output.mean(dim=dimension, keepdim=True)).norm() / output.norm()
        assert spread > 3 * TOLERANCES["bf16"]


def test_a_time_limit_skips_cases_and_names_them(only: Any) -> None:
    only(aoti=eager)
    record = measured(CASE, EngineCase("bf16", 1), settings=Settings("cpu", 1, quick=True, time_limit=1e-3))
    assert [case["name"] for case in record["cases"]] == ["fp32/b2"]
    assert record["skipped"] == ["bf16/b1"]


def test_an_unsteady_ratio_is_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    steady, unsteady = [10.0] * 20, [10.0, 30.0] * 10
    rivals = {AOTI: {"samples_us": steady}, EAGER: {"samples_us": unsteady}}
    rivals |= {name: {"failed": "not here"} for name in (COMPILED, ONNX_RUNTIME, TENSORRT)}  # type: ignore[dict-item]
    record: dict[str, Any] = {"quick": False, "cases": [{"name": "fp16/b1", "rivals": rivals}]}
    record["requirements"] = engine_requirement_rows(record)
    assert torch_engines.exit_code(record) == 5
    assert "time of torch eager over AOTInductor's, fp16/b1" in capsys.readouterr().err


def test_cases_are_those_of_the_device_and_unknown_ones_are_refused() -> None:
    names = [case.name for case in engine_cases("cuda")]
    assert names == ["fp16/b1", "fp16/b8", "fp16/b64", "bf16/b1", "bf16/b8", "bf16/b64"]
    assert [case.batch for case in choose_cases(engine_cases("cpu"), ["bf16/*"])] == [1, 8]
    with pytest.raises(UsageError, match="matches none of: fp32/b1"):
        choose_cases(engine_cases("cpu"), ["fp16/*"])
