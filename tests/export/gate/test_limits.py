"""Flags of the gate: what they accept, and how they refuse."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from lnlattennet.errors import UsageError
from lnlattennet.export.gate._limits import default_limits, parse_limits
from lnlattennet.export.gate._metrics import METRICS
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.runtimes._precision import PRECISIONS


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_flags_the_defaults_stand(precision: str) -> None:
    assert parse_limits(precision, {}) == default_limits(precision)


def test_limits_loosen_from_precision_to_precision() -> None:
    limits = [default_limits(precision) for precision in ("fp32", "fp16", "bf16", "int8")]
    for name, outputs in default_limits("fp32").items():
        higher = next(metric for metric in METRICS.values() if name in {item.name for item in metric.limits})
        for output in outputs:
            values = [item[name][output] for item in limits if item[name][output] is not None]
            assert values == sorted(values, reverse=higher.higher_is_better)  # type: ignore[type-var]
    assert {item["min_agreement"]["logits"] for item in limits} == {0.99}
    assert {item["max_accuracy_drop"]["logits"] for item in limits} == {0.005}


def test_values_are_read_per_output_or_for_all_later_ones_winning() -> None:
    limits = parse_limits(
        "int8",
        {
            "atol": ["1e-2", "logits:1e-3"],
            "rtol": ["region_weights:0.5"],
            "min_cosine": ["logits:0.5", "0.25"],
            "max_permutation": ["region_affinity:0"],
            "max_kl": 0.5,
            "min_agreement": 1.0,
            "min_top3_overlap": 0.0,
            "max_sum_error": 0.004,
            "max_accuracy_drop": 0.25,
        },
    )
    assert limits == {
        "atol": {"logits": 1e-3, "region_weights": 1e-2, "region_affinity": 1e-2},
        "rtol": {"logits": 0, "region_weights": 0.5, "region_affinity": 0},
        "min_cosine": dict.fromkeys(OUTPUT_NAMES, 0.25),
        "max_permutation": {"logits": 1e-4, "region_weights": 1e-5, "region_affinity": 0},
        "max_kl": {"logits": 0.5},
        "min_agreement": {"logits": 1.0},
        "min_top3_overlap": {"region_weights": 0.0},
        "max_sum_error": {"region_weights": 0.004, "region_affinity": 0.004},
        "max_accuracy_drop": {"logits": 0.25},
    }


def test_an_unknown_limit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown limit 'max_abs'; limits: atol, rtol, min_cosine"):
        parse_limits("fp32", {"max_abs": 1.0})


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        (
            "atol",
            ["logit:1e-3"],
            "--atol logit:1e-3: unknown output 'logit'; outputs: logits, region_weights",
        ),
        ("atol", ["logits:x"], "--atol must be [OUTPUT:]VALUE with a number >= 0, got 'logits:x'"),
        ("atol", ["logits:"], "got 'logits:'"),
        ("atol", [""], "got ''"),
        ("atol", ["nan"], "got 'nan'"),
        ("rtol", ["inf"], "--rtol must be"),
        ("rtol", ["logits:-0.1"], "--rtol must be"),
        (
            "min_cosine",
            ["1.01"],
            "--min-cosine must be [OUTPUT:]VALUE with a number from -1 to 1, got '1.01'",
        ),
        ("max_permutation", ["-1"], "--max-permutation must be"),
        ("max_kl", -0.1, "--max-kl must be a number >= 0, got -0.1"),
        ("max_kl", math.nan, "--max-kl must be a number >= 0, got nan"),
        ("max_kl", math.inf, "got inf"),
        ("min_agreement", 99.0, "--min-agreement must be a share from 0 to 1 (0.99 is 99%), got 99.0"),
        ("min_top3_overlap", -0.5, "--min-top3-overlap must be a share"),
        ("max_sum_error", -1.0, "--max-sum-error must be"),
        ("max_sum_error", 0.01, "--max-sum-error must be a number from 0 to 0.005, which every answer is"),
        ("max_accuracy_drop", 1.5, "--max-accuracy-drop must be a share"),
    ],
)
def test_an_impossible_limit_is_refused_with_flag_rule_and_value(flag: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_limits("fp32", {flag: value})
