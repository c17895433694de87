"""Precision in whole exports: what a search finds, what it cannot, and plans given back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lnlattennet.errors import GateError
from lnlattennet.export.bundle import Bundle
from lnlattennet.export.engine_export import export_engine
from lnlattennet.export.options import Calibration, Criteria, LimitFlags
from tests.export.exports import quick_options, write_pictures

PLAN = Path("engines/onnxruntime-int8/precision-plan.json")


def criteria(**limits: object) -> Criteria:
    return Criteria(faces=32, rounds=5, limits=LimitFlags(**limits))  # type: ignore[arg-type]


def test_a_search_finds_a_mixed_plan_which_can_be_given_back(checkpoint_path: Path, tmp_path: Path) -> None:
    """With all blocks in int8 the small network's logits have cosines of 0.9999."""
    tight = criteria(min_cosine=("logits:0.99999",), max_kl=1.0)
    report = export_engine(
        quick_options(
            checkpoint_path,
            tmp_path / "found",
            precisions=("auto",),
            criteria=tight,
            calibration=Calibration(faces=64),
        )
    )
    engines = {engine["name"]: engine for engine in report["engines"]}
    plan = engines["onnxruntime-int8"]["plan"]
    assert set(plan.values()) == {"int8", "fp32"}
    assert "fp32" in {plan[block] for block in plan if block.startswith("unet.")}
    assert report["verification"]["plans_tried"]["onnxruntime-int8"] >= 3
    assert all(check["passed"] for check in engines["onnxruntime-int8"]["checks"])
    planned = report["verification"]["planned_layers"]["onnxruntime-int8"]
    assert engines["onnxruntime-int8"]["layers"]["int8"] >= planned["int8"] >= 1
    assert report["verification"]["calibration"] == {"faces": 64, "source": "rendered", "method": "minmax"}
    page = (tmp_path / "found" / "report.html").read_text()
    assert "Calibrated on rendered faces" in page
    assert "onnxruntime-int8 after " in page

    pictures = write_pictures(tmp_path / "pictures", 33)
    again = export_engine(
        quick_options(
            checkpoint_path,
            tmp_path / "again",
            plan_file=tmp_path / "found" / PLAN,
            calibration=Calibration(pictures=pictures),
        )
    )
    assert [(engine["name"], engine["plan"]) for engine in again["engines"]] == [("onnxruntime-int8", plan)]
    assert (tmp_path / "again" / PLAN).read_bytes() == (tmp_path / "found" / PLAN).read_bytes()
    # As many as there were, not as many as were asked for.
    found = {"faces": 33, "source": str(pictures), "method": "minmax"}
    assert again["verification"]["calibration"] == found
    assert again["verification"]["plans_tried"] == {}


def test_if_no_int8_passes_the_exact_engines_are_published(checkpoint_path: Path, tmp_path: Path) -> None:
    options = quick_options(
        checkpoint_path,
        tmp_path / "out",
        precisions=("auto",),
        criteria=criteria(max_kl=1e-12),
        calibration=Calibration(faces=32),
    )
    report = export_engine(options)
    assert [engine["name"] for engine in report["engines"]] == ["onnxruntime-fp32"]
    left_out = {item["precision"]: item for item in report["left_out"]}
    reason = left_out["int8"]["reason"]
    assert "logits has a mean KL divergence of" in reason
    assert "nor did fewer blocks in int8 pass (7 plans tried)" in reason
    assert any(not check["passed"] for check in left_out["int8"]["checks"])
    assert not list((tmp_path / "out").rglob("*int8*"))
    assert Bundle.load(tmp_path / "out").manifest.selected == "onnxruntime-fp32"


def test_an_engine_that_would_not_compute_in_its_precision_is_refused(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    """Between float blocks ONNX Runtime computes a lone 8-bit layer in float32, with rounded numbers."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"schema_version": 1, "blocks": {"unet.project": "int8"}}))
    options = quick_options(
        checkpoint_path, tmp_path / "out", plan_file=plan, calibration=Calibration(faces=32)
    )
    with pytest.raises(GateError, match="of 0 layers that any runtime can run in int8, this one runs"):
        export_engine(options)
    assert list(tmp_path.iterdir()) == [plan]
