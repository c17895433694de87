"""Precision plans: read as written, complete, and refused with the rule that they break."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._precision import PrecisionPlan, block_names, read_plan, uniform_plan

CONFIG = NetworkConfig(image_size=48, widths=(8, 12), channels=8)
NAMES = block_names(CONFIG)


def test_the_blocks_are_those_of_the_network() -> None:
    assert NAMES == (
        "unet.stem", "unet.down1", "unet.up1", "unet.project", "attention", "local_networks", "fusion",
    )  # fmt: skip
    assert {"unet.down3", "unet.up3"} <= set(block_names(NetworkConfig()))


@given(st.fixed_dictionaries({name: st.sampled_from(("fp32", "bf16", "fp16")) for name in NAMES}))
def test_a_plan_is_read_as_it_was_written(blocks: dict[str, str]) -> None:
    plan = PrecisionPlan(blocks)
    content = json.loads(plan.to_json())
    assert content == {"schema_version": 1, "blocks": blocks}
    assert plan.precision in blocks.values()


def test_a_file_names_what_it_changes_and_the_rest_is_fp32(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"schema_version": 1, "blocks": {"unet.stem": "int8"}}))
    plan = read_plan(path, CONFIG)
    assert plan.blocks == dict.fromkeys(NAMES, "fp32") | {"unet.stem": "int8"}
    assert plan.precision == "int8"
    assert set(plan.precisions) == {"int8", "fp32"}
    path.write_text(plan.to_json())
    assert read_plan(path, CONFIG) == plan


def test_quantized_plans_leave_the_head_exact() -> None:
    blocks = uniform_plan("int8", CONFIG).blocks
    assert {name for name, precision in blocks.items() if precision == "fp32"} == set(NAMES[-3:])
    assert uniform_plan("fp16", CONFIG).precisions == {"fp16"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"schema_version": 1, "blocks": {"unet.down9": "int8"}}',
            "unknown block 'unet.down9'; blocks:",
        ),
        (
            '{"schema_version": 1, "blocks": {"fusion": "int4"}}',
            "precision 'int4'; precisions: fp32",
        ),
        (
            '{"schema_version": 1, "blocks": {"attention": "int8"}}',
            "attention cannot run in int8; choose fp32",
        ),
        ('{"schema_version": 2, "blocks": {}}', '"schema_version": 1'),
        ("[]", '"schema_version": 1'),
        ("{", "is not JSON"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_with_it(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="--precision-plan") as caught:
        read_plan(path, CONFIG)
    assert message in str(caught.value)


def test_a_missing_or_huge_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_plan(tmp_path / "none.json", CONFIG)
    (tmp_path / "huge.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(UsageError, match="not a precision plan"):
        read_plan(tmp_path / "huge.json", CONFIG)


def test_a_plan_of_an_earlier_version_names_the_attention_as_it_did(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"schema_version": 1, "blocks": {"nonlocal": "bf16"}}')
    assert read_plan(path, CONFIG).blocks["attention"] == "bf16"
    path.write_text('{"schema_version": 1, "blocks": {"attention": "fp32", "nonlocal": "bf16"}}')
    with pytest.raises(UsageError, match="'nonlocal' is the former name of 'attention'; keep one"):
        read_plan(path, CONFIG)
