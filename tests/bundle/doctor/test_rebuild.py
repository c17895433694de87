"""The command line that builds one engine of a bundle again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._export_options import CalibrationOptions, ExportOptions
from lnlattennet.bundle._manifest import VerificationRecord
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from tests.bundle.manifests import engine, manifest


def options(checkpoint: str = "c", output: str = "x", **fields: Any) -> ExportOptions:
    return ExportOptions(checkpoint=Path(checkpoint), output=Path(output), **fields)


@pytest.mark.parametrize(
    ("name", "exported", "expected"),
    [
        (
            "openvino-int8",
            options("a b.safetensors", "build/x/"),
            "export-engine --checkpoint 'a b.safetensors' --output build/x-openvino-int8 --backend openvino "
            "--precision int8",
        ),
        (
            "tensorrt-auto",
            options(precisions=("int8", "fp16"), force=True),
            "export-engine --checkpoint c --output x-tensorrt-auto --backend tensorrt --precision auto",
        ),
        (
            "openvino-int8",
            options(plan_file=Path("plan.json"), batch=BatchRange(1, 4, 8)),
            "export-engine --checkpoint c --output x-openvino-int8 --batch 1:4:8 --backend openvino "
            "--precision-plan plan.json",
        ),
    ],
)
def test_the_rebuild_command_is_the_bundles_own_for_one_engine(
    name: str, exported: ExportOptions, expected: str
) -> None:
    record = engine(name)
    assert rebuild_command(manifest(record, options=exported), record) == expected
    assert shlex.split(expected)[0] == "export-engine"


def test_a_searched_plan_is_searched_for_again() -> None:
    """As a whole that precision had failed the gate."""
    record = engine("openvino-int8")
    searched = VerificationRecord(plans_tried={record.name: 9})
    found = manifest(record, options=options(), verification=searched)
    assert "--backend openvino --precision auto" in rebuild_command(found, record)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("openvino-fp32", ""),
        ("openvino-int8", " --calibration faces --calibration-method entropy --faces crop"),
        ("tensorrt-fp16", " --timing-cache t --version-compatible"),
    ],
)
def test_options_of_other_engines_are_left_out(name: str, kept: str) -> None:
    """An export of this engine alone would refuse it: it would have no effect."""
    exported = options(
        faces="crop",
        calibration=CalibrationOptions(images=Path("faces"), method="entropy"),
        builder=TensorRTBuilderConfig(timing_cache=Path("t"), version_compatible=True),
    )
    record = engine(name)
    command = rebuild_command(manifest(record, options=exported), record)
    expected = f"--backend {record.backend} --precision {name.partition('-')[2]}{kept}"
    assert command == f"export-engine --checkpoint c --output x-{name} {expected}"
