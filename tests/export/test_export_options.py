"""Options of an export: the command that they render is read back as the same options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._export_options import (
    CalibrationOptions,
    ExportOptions,
    SelectionOptions,
    VerificationOptions,
)
from lnlattennet.errors import UsageError
from lnlattennet.export import _pipeline
from lnlattennet.export._cli import main
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from tests.commands import call

CHANGED: list[dict[str, Any]] = [
    {},
    {"batch": BatchRange(2, 4, 6), "backends": ("tensorrt", "openvino"), "precisions": ("fp16", "int8")},
    {"plan_file": Path("a plan.json"), "force": True, "allow_pickle": True, "faces": "crop"},
    {"calibration": CalibrationOptions(images=Path("-faces"), faces=40, method="entropy")},
    {
        "verification": VerificationOptions(
            faces=64,
            data="synthetic",
            split="val",
            limits={"atol": ("logits:1e-3", "2"), "max_kl": 0.5, "max_accuracy_drop": 0.25},
        )
    },
    {"selection": SelectionOptions(strategy="latency-budget", budget_ms=12.5)},
    {
        "builder": TensorRTBuilderConfig(
            timing_cache=Path("t"),
            optimization_level=0,
            hardware_compatibility="ampere+",
            version_compatible=True,
        )
    },
]


@pytest.mark.parametrize("fields", CHANGED)
def test_the_rendered_command_gives_the_same_options(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ExportOptions(checkpoint=Path("my c.safetensors"), output=Path("build/x"), **fields)
    parsed: list[ExportOptions] = []
    monkeypatch.setattr(_pipeline, "export_engine", parsed.append)
    done = call(main, *shlex.split(shlex.join(options.command())), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert parsed == [options]
    assert ExportOptions.model_validate_json(options.model_dump_json()) == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda: SelectionOptions(rounds=0), "rounds must be 1 or more, got 0"),
        (lambda: VerificationOptions(labeled_faces=-1), "labeled_faces must be 1 or more, got -1"),
        (
            lambda: SelectionOptions(strategy="latency-budget", budget_ms=float("nan")),
            "budget_ms must be a positive number of milliseconds, got nan",
        ),
        (
            lambda: VerificationOptions(faces=float("inf")),  # type: ignore[arg-type]
            "VerificationOptions: faces = inf: Input should be a finite number",
        ),
        (
            lambda: VerificationOptions(limits={"atol": None}),  # type: ignore[dict-item]
            "VerificationOptions: limits.atol.float = None: Input should be a valid number",
        ),
        (
            lambda: ExportOptions(checkpoint="c", output="o", precision="int8"),  # type: ignore[call-arg, arg-type]
            "ExportOptions: precision = 'int8': Extra inputs are not permitted",
        ),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_its_field(
    options: Callable[[], object], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        options()


def test_one_name_is_no_sequence_of_letters() -> None:
    fields: dict[str, Any] = {"checkpoint": "c", "output": "o", "backends": "openvino", "precisions": "int8"}
    limits: dict[str, Any] = {"atol": "logits:1e-3"}
    options = ExportOptions(**fields, verification=VerificationOptions(limits=limits))
    assert (options.backends, options.precisions) == (("openvino",), ("int8",))
    assert options.verification.limits == {"atol": ("logits:1e-3",)}
