"""Softmax against float64, and the checks of an engine's outputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import check_outputs, softmax
from lnlattennet.errors import EngineOutputError

Floats = NDArray[np.float32]


@given(
    logits=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(2, 9)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
@settings(deadline=None)
def test_softmax(logits: Floats) -> None:
    shares = softmax(logits)
    assert shares.dtype == np.float32
    # One difference at a time, with Python's own exponential.
    for row, answer in zip(logits.tolist(), shares, strict=True):
        expected = [1 / math.fsum(math.exp(min(other - own, 700.0)) for other in row) for own in row]
        np.testing.assert_allclose(answer, expected, rtol=1e-6, atol=1e-40)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)


def outputs(batch: int = 2, classes: int = 3, regions: int = 4) -> dict[str, Floats]:
    return {
        "logits": np.arange(batch * classes, dtype=np.float32).reshape(batch, classes),
        "region_weights": np.full((batch, regions), 1 / regions, dtype=np.float32),
        "region_affinity": np.full((batch, regions, regions), 1 / regions, dtype=np.float32),
    }


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_sound_outputs_pass(batch: int) -> None:
    check_outputs(outputs(batch), batch, classes=3, regions=4)


@pytest.mark.parametrize("name", ["region_weights", "region_affinity"])
def test_rounding_of_the_sum_is_tolerated(name: str) -> None:
    sound = outputs()
    sound[name] *= np.float32(1.0045)
    check_outputs(sound, 2, classes=3, regions=4)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("logits", (2, 4)),
        ("logits", (2, 3, 1)),
        ("logits", ()),
        ("region_weights", (2, 16)),
        ("region_weights", (1, 4)),
        ("region_affinity", (2, 4)),
        ("region_affinity", (2, 4, 3)),
    ],
)
def test_wrong_shapes_are_named(name: str, shape: tuple[int, ...]) -> None:
    broken = outputs() | {name: np.full(shape, 0.25, dtype=np.float32)}
    with pytest.raises(EngineOutputError, match=r"must be float32 \[.*\], got float32 \[.*\]; export"):
        check_outputs(broken, 2, classes=3, regions=4)


@pytest.mark.parametrize("name", ["logits", "region_weights", "region_affinity"])
def test_wrong_types_are_named(name: str) -> None:
    broken = outputs()
    wide = broken | {name: broken[name].astype(np.float64)}
    with pytest.raises(EngineOutputError, match=f"{name} must be float32 .* got float64"):
        check_outputs(wide, 2, classes=3, regions=4)


@pytest.mark.parametrize("name", ["logits", "region_weights", "region_affinity"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_located(name: str, value: float) -> None:
    broken = outputs()
    broken[name][1, 2] = value
    with pytest.raises(EngineOutputError, match=rf"{name} must be finite, got -?(nan|inf) at \[1, 2"):
        check_outputs(broken, 2, classes=3, regions=4)


@pytest.mark.parametrize("name", ["region_weights", "region_affinity"])
def test_negative_weights_are_refused(name: str) -> None:
    broken = outputs()
    broken[name][1, ..., 0] = -0.25
    broken[name][1, ..., 1] = 0.75
    with pytest.raises(EngineOutputError, match=f"{name} must not be negative, got -0.25"):
        check_outputs(broken, 2, classes=3, regions=4)


@pytest.mark.parametrize("name", ["region_weights", "region_affinity"])
def test_weights_that_do_not_sum_to_one_are_refused(name: str) -> None:
    broken = outputs()
    broken[name][1, ..., 0] = 0.5
    with pytest.raises(EngineOutputError, match=rf"{name} must sum to 1 within 0.005, got 1.25"):
        check_outputs(broken, 2, classes=3, regions=4)


@pytest.mark.parametrize("name", ["logits", "region_weights", "region_affinity"])
def test_missing_outputs_are_named(name: str) -> None:
    broken = outputs()
    del broken[name]
    with pytest.raises(EngineOutputError, match=f"engine output {name} is missing; export"):
        check_outputs(broken, 2, classes=3, regions=4)


@pytest.mark.parametrize("batch", [1, 3])
def test_another_number_of_faces_is_refused(batch: int) -> None:
    with pytest.raises(EngineOutputError, match=rf"float32 \[{batch}, 3\], got float32 \[2, 3\]"):
        check_outputs(outputs(2), batch, classes=3, regions=4)
