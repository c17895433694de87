"""Precision in whole exports: what a search finds, what it cannot, and plans passed back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, numpy_helper

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._export_options import CalibrationOptions, VerificationOptions
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.errors import GateError
from lnlattennet.export._engine_builder import RejectedError, require_precision
from lnlattennet.export._pipeline import export_engine
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import BuildSpec, EngineFile
from lnlattennet.runtimes._precision import PrecisionPlan, uniform_plan
from lnlattennet.runtimes._requirements import Requirements
from tests.export.exports import quick_options, write_images

pytestmark = pytest.mark.slow

PLAN = Path("engines/onnxruntime-int8/precision-plan.json")

Search = Callable[[Callable[[PrecisionPlan], bool]], dict[str, Any]]
"""Exports with OpenVINO, refuses the int8 engines of some plans, and returns the report."""


def assert_tensorrt_takes(path: Path, plan: dict[str, str]) -> None:
    model = onnx.load_model(str(path))
    facts = {item.key: item.value for item in model.metadata_props}
    assert json.loads(facts["precision_plan"])["blocks"] == plan
    zero_points = [tensor for tensor in model.graph.initializer if tensor.name.endswith(".zero_point")]
    assert zero_points
    assert not any(numpy_helper.to_array(tensor).any() for tensor in zero_points)
    assert TensorProto.UINT8 not in {tensor.data_type for tensor in model.graph.initializer}
    trt = pytest.importorskip("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse(path.read_bytes())


def limited(**limits: tuple[str, ...] | float) -> VerificationOptions:
    return VerificationOptions(faces=32, limits=limits)


def test_a_search_finds_a_mixed_plan_which_can_be_passed_back(checkpoint_path: Path, tmp_path: Path) -> None:
    """With all blocks in int8 the small network's logits have cosines of 0.9999."""
    tight = limited(min_cosine=("logits:0.99999",), max_kl=1.0)
    report = export_engine(
        quick_options(
            checkpoint_path,
            tmp_path / "found",
            precisions=("auto",),
            verification=tight,
            calibration=CalibrationOptions(faces=64),
        )
    )
    engines = {engine["name"]: engine for engine in report["engines"]}
    plan = engines["onnxruntime-int8"]["plan"]
    assert set(plan.values()) == {"int8", "fp32"}
    assert "fp32" in {plan[block] for block in plan if block.startswith("unet.")}
    assert report["verification"]["plans_tried"]["onnxruntime-int8"] >= 3
    manifest = Bundle.load(tmp_path / "found").manifest
    assert "--precision auto" in rebuild_command(manifest, manifest.engine("onnxruntime-int8"))
    assert all(check["passed"] for check in engines["onnxruntime-int8"]["checks"])
    planned = report["verification"]["planned_layers"]["onnxruntime-int8"]
    assert engines["onnxruntime-int8"]["layers"]["int8"] >= planned["int8"] >= 1
    assert report["verification"]["calibration"] == {"faces": 64, "source": "rendered", "method": "minmax"}
    page = (tmp_path / "found" / "report.html").read_text()
    assert "Calibrated on rendered faces" in page
    assert "onnxruntime-int8 after " in page

    images = write_images(tmp_path / "images", 33)
    again = export_engine(
        quick_options(
            checkpoint_path,
            tmp_path / "again",
            plan_file=tmp_path / "found" / PLAN,
            calibration=CalibrationOptions(images=images),
        )
    )
    assert [(engine["name"], engine["plan"]) for engine in again["engines"]] == [("onnxruntime-int8", plan)]
    assert (tmp_path / "again" / PLAN).read_bytes() == (tmp_path / "found" / PLAN).read_bytes()
    # Its head is in float32, in which the gate can run it anywhere.
    int8 = {block: precision if precision == "int8" else "fp32" for block, precision in plan.items()}
    assert_tensorrt_takes(tmp_path / "again" / "model-int8.onnx", int8)
    # As many as there were, not as many as were asked for.
    found = {"faces": 33, "source": str(images), "method": "minmax"}
    assert again["verification"]["calibration"] == found
    assert again["verification"]["plans_tried"] == {}


def test_if_no_int8_passes_the_exact_engines_are_published(checkpoint_path: Path, tmp_path: Path) -> None:
    options = quick_options(
        checkpoint_path,
        tmp_path / "out",
        precisions=("auto",),
        verification=limited(max_kl=1e-12),
        calibration=CalibrationOptions(faces=32),
    )
    report = export_engine(options)
    assert [engine["name"] for engine in report["engines"]] == ["onnxruntime-fp32"]
    skipped = {item["precision"]: item for item in report["skipped"]}
    reason = skipped["int8"]["reason"]
    assert "logits has a mean KL divergence of" in reason
    assert "fewer blocks in int8 did not pass either (8 plans tried)" in reason
    assert any(not check["passed"] for check in skipped["int8"]["checks"])
    assert not list((tmp_path / "out").rglob("*int8*"))
    assert Bundle.load(tmp_path / "out").manifest.selected == "onnxruntime-fp32"


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_that_would_not_compute_in_its_precision_is_refused(
    checkpoint_path: Path, tmp_path: Path, backend: str
) -> None:
    """Between float blocks ONNX Runtime computes a lone 8-bit layer in float32, with rounded numbers.

    OpenVINO's graph has no convolution there.
    """
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"schema_version": 1, "blocks": {"unet.project": "int8"}}))
    options = quick_options(
        checkpoint_path,
        tmp_path / "out",
        plan_file=plan,
        calibration=CalibrationOptions(faces=32),
        backends=(backend,),
    )
    with pytest.raises(GateError, match=r"has no layer in unet\.project that runs in int8: it runs"):
        export_engine(options)
    assert list(tmp_path.iterdir()) == [plan]


@pytest.mark.parametrize(("bf16", "passes"), [(7, True), (6, False)])
def test_every_precision_of_a_plan_is_read_back(bf16: int, passes: bool) -> None:
    """Not only the fastest one: a head in bf16 that runs in fp32 was not asked for either."""
    plan = uniform_plan("int8", NetworkConfig(), rest="bf16")
    engine = EngineFile(
        Path("e"), Requirements(device="cpu", packages={}), {"int8": 15, "bf16": bf16, "fp32": 3}
    )
    planned = {"fp32": 1, "bf16": 7, "int8": 14}
    with nullcontext() if passes else pytest.raises(RejectedError, match=r"of 7 layers .* run in bf16"):
        require_precision(plan, planned, engine)


@pytest.fixture
def search_refusing(checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    from lnlattennet.runtimes import _openvino as openvino

    if openvino.unsupported_reason(uniform_plan("bf16", NetworkConfig())):
        pytest.skip("this CPU has no bf16 to put the head in")
    original = openvino.build

    def search(refused: Callable[[PrecisionPlan], bool]) -> dict[str, Any]:
        def build(path: Path, spec: BuildSpec) -> EngineFile:
            if "int8" in spec.plan.precisions and refused(spec.plan):
                raise RejectedError("not today")
            return original(path, spec)

        monkeypatch.setattr(openvino, "build", build)
        return export_engine(
            quick_options(
                checkpoint_path,
                tmp_path / "out",
                precisions=("auto",),
                verification=limited(),
                backends=("openvino",),
            )
        )

    return search


def test_a_search_never_ends_without_the_precision_it_is_for(
    search_refusing: Search,
) -> None:
    """Blocks that int8 is not for follow the plan; that they pass alone is no int8 engine."""
    report = search_refusing(lambda plan: True)
    assert "openvino-int8" not in {engine["name"] for engine in report["engines"]}
    reasons = {item["precision"]: item["reason"] for item in report["skipped"]}
    assert "fewer blocks in int8 did not pass either" in reasons["int8"]


@pytest.mark.parametrize(("refused", "exact"), [(("int8",), "bf16"), (("int8", "bf16"), "fp32")])
def test_blocks_that_cannot_be_int8_run_as_the_head_does_or_else_in_fp32(
    refused: tuple[str, ...],
    exact: str,
    search_refusing: Search,
) -> None:
    report = search_refusing(lambda plan: plan.blocks["unet.stem"] in refused)
    [plan] = [engine["plan"] for engine in report["engines"] if engine["name"] == "openvino-int8"]
    assert plan["unet.stem"] == exact
    assert {plan[block] for block in plan if block.startswith("unet.")} == {"int8", exact}
