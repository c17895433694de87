"""A constant answer never passes, whatever the precision and however young the network."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.errors import CheckpointError
from lnlattennet.export.gate._check import check_engine
from lnlattennet.export.gate._comparisons import top3_overlap
from lnlattennet.export.gate._constant import check_reference
from lnlattennet.export.gate._limits import default_limits, failure_text, flags_text
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner
from lnlattennet.runtimes._precision import PRECISIONS

Floats = NDArray[np.float32]
FACES = np.arange(40, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 3, 4, 4), np.float32)
NAMES = ("anger", "fear", "joy")


def outputs(logits: Floats) -> Arrays:
    """Logits of a young network: its regions weigh alike for every face."""
    weights = np.full((len(logits), 4), 0.25, np.float32)
    affinity = np.full((len(logits), 4, 4), 0.25, np.float32)
    return dict(zip(OUTPUT_NAMES, (logits, weights, affinity), strict=True))


def young(scale: float) -> Arrays:
    """One class for every face, with a small difference from face to face."""
    noise = np.random.default_rng(0).standard_normal((len(FACES), 3)) * scale
    return outputs((np.array([5.0, 1, 0]) + noise).astype(np.float32))


def engine(reference: Arrays, *, constant: bool = False, error: float = 0.0) -> Runner:
    def runner(inputs: Mapping[str, Floats]) -> Arrays:
        known = inputs["image"][:, 0, 0, 0].astype(int)
        arrays = {name: reference[name][known] for name in OUTPUT_NAMES}
        if constant:
            arrays = {
                name: np.repeat(reference[name].mean(axis=0, keepdims=True), len(known), axis=0)
                for name in OUTPUT_NAMES
            }
        arrays["logits"] = arrays["logits"] + np.float32(error)
        return arrays

    return runner


@pytest.mark.parametrize("scale", [0.02, 0.3])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_constant_never_passes(precision: str, scale: float) -> None:
    reference, limits = young(scale), default_limits(precision)
    checks = check_engine(engine(reference, constant=True), reference, FACES, BatchRange(1, 4, 8), limits)
    assert "a constant answer only twice" in failure_text(checks)


def test_no_tolerance_lets_a_constant_pass() -> None:
    """A relative one allows least at the class whose logits are 0, where a constant differs by nothing."""
    reference = young(0.3)
    reference["logits"][:, 2] = 0
    limits = dict(default_limits("int8")) | {"rtol": dict.fromkeys(OUTPUT_NAMES, 1e9)}
    checks = check_engine(engine(reference, constant=True), reference, FACES, BatchRange(1, 4, 8), limits)
    assert "a constant answer only twice" in failure_text(checks)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_equals_a_young_network_passes(precision: str) -> None:
    reference, limits = young(0.02), default_limits(precision)
    error = 0.0 if precision == "fp32" else 0.01
    checks = check_engine(engine(reference, error=error), reference, FACES, BatchRange(1, 4, 8), limits)
    assert failure_text(checks) == ""


@pytest.mark.parametrize(
    ("logits", "among"),
    [
        (np.zeros((40, 3)), "faces"),
        (np.tile([5.0, 1, 0], (40, 1)), "faces"),
        (np.tile([5.0, 1, 0], (40, 1)) + 1e-6 * np.arange(120).reshape(40, 3), "faces"),
        (np.arange(40.0)[:, None] * np.ones(3), "classes"),
    ],
)
def test_a_checkpoint_that_does_not_answer_is_refused(logits: NDArray[np.float64], among: str) -> None:
    reference = outputs(logits.astype(np.float32))
    with pytest.raises(
        CheckpointError, match=f"logits are the same for all {among}: over 40 different faces"
    ):
        check_reference(reference, default_limits("fp32"), NAMES)


def test_one_class_for_all_faces_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        check_reference(young(0.3), default_limits("fp32"), NAMES)
    assert (
        "the checkpoint answers 'anger' for all 40 rendered faces: --min-agreement says nothing"
        in caplog.text
    )


def test_answers_that_only_rounding_decides_are_said(caplog: pytest.LogCaptureFixture) -> None:
    logits = young(0.3)["logits"]
    logits[:, 2] = logits[:, 0]
    logits[::2, 2] += 1e-6
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        check_reference(outputs(logits), default_limits("fp32"), NAMES)
    assert "finds two classes equally likely, but for 1%, for all 40 rendered faces" in caplog.text


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_no_server_would_answer_never_passes(precision: str) -> None:
    reference = young(0.3)
    sound = engine(reference)

    def negative(inputs: Mapping[str, Floats]) -> Arrays:
        arrays = sound(inputs)
        shift = np.array([-0.2500001, 0.2500001, 0, 0], np.float32)
        return arrays | {"region_weights": arrays["region_weights"] + shift}

    loose = default_limits(precision) | {"min_cosine": dict.fromkeys(OUTPUT_NAMES, -1.0)}
    checks = check_engine(negative, reference, FACES, BatchRange(1, 4, 8), loose)
    assert "region_weights holds negative numbers" in failure_text(checks)


@pytest.mark.parametrize(
    ("weights", "found", "overlap"),
    [
        ([0.25, 0.25, 0.25, 0.25], [0.2499, 0.2501, 0.25, 0.25], 1.0),
        ([0.0625] * 16, [0.0625 + 1e-7 * index for index in range(16)], 1.0),
        ([0.4, 0.3, 0.1501, 0.15], [0.4, 0.3, 0.149, 0.151], 1.0),
        ([0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.1, 0.2], 2 / 3),
        ([0.31, 0.3, 0.295, 0.095], [0.095, 0.3, 0.295, 0.31], 2 / 3),
        ([0.5, 0.5], [0.4, 0.6], 1.0),
        ([1.0], [1.0], 1.0),
    ],
)
def test_regions_that_weigh_the_same_are_ties(
    weights: list[float], found: list[float], overlap: float
) -> None:
    arrays = (np.array([values], np.float32) for values in (found, weights))
    assert top3_overlap(*arrays).value.tolist() == [pytest.approx(overlap)]


def test_a_failure_names_the_flags_of_its_limits() -> None:
    reference = young(0.3)
    wrong = engine(reference, error=5.0)
    checks = check_engine(wrong, reference, FACES, BatchRange(1, 4, 8), default_limits("fp32"))
    assert flags_text(checks).startswith("; flags of these limits: --atol, --min-cosine")
    assert flags_text([check for check in checks if check.passed]) == ""
