"""The command line that builds one engine of a bundle again."""

from __future__ import annotations

import shlex

import pytest

from lnlattennet.bundle.doctor._rebuild import rebuild_command
from tests.bundle.manifests import engine, manifest


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        (
            "openvino-int8",
            ["export-engine", "-c", "a b.safetensors", "--backend", "auto", "--backend=x", "-o", "build/x/"],
            "export-engine -c 'a b.safetensors' --backend openvino --precision int8 "
            "--output build/x-openvino-int8",
        ),
        (
            "tensorrt-rtx-auto",
            ["export-engine", "--precision", "int8", "--precision=fp16", "--output=x", "--force", "--json"],
            "export-engine --backend tensorrt-rtx --precision auto --output x-tensorrt-rtx-auto",
        ),
        (
            "openvino-int8",
            ["export-engine", "--precision-plan", "plan.json", "--batch", "1:4:8"],
            "export-engine --precision-plan plan.json --batch 1:4:8 --backend openvino "
            "--output BUNDLE-openvino-int8",
        ),
        (
            "aoti-fp32",
            [],
            "export-engine --checkpoint CHECKPOINT.safetensors --backend aoti --precision fp32 "
            "--output BUNDLE-aoti-fp32",
        ),
    ],
)
def test_the_rebuild_command_is_the_bundles_own_for_one_engine(
    name: str, command: list[str], expected: str
) -> None:
    one = engine(name)
    assert rebuild_command(manifest(one, command=command), one) == expected
    assert shlex.split(expected)[0] == "export-engine"


def test_what_a_search_found_is_searched_for_again() -> None:
    """As a whole that precision had failed the gate."""
    one = engine("openvino-int8")
    found = manifest(one, command=["export-engine", "-o", "x"], verification={"plans_tried": {one.name: 9}})
    assert "--backend openvino --precision auto" in rebuild_command(found, one)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("openvino-fp32", ""),
        ("openvino-int8", "--calibration faces --calibration-method entropy "),
        ("tensorrt-fp16", "--timing-cache=t --version-compatible "),
    ],
)
def test_what_concerned_other_engines_is_left_out(name: str, kept: str) -> None:
    """An export of this engine alone would refuse it: it would have no effect."""
    given = [
        "--calibration",
        "faces",
        "--calibration-method",
        "entropy",
        "--timing-cache=t",
        "--version-compatible",
    ]
    one = engine(name)
    found = rebuild_command(manifest(one, command=["export-engine", *given, "-o", "x"]), one)
    precision = name.partition("-")[2]
    assert found == f"export-engine {kept}--backend {one.backend} --precision {precision} --output x-{name}"
