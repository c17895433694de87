"""Temperature scaling: the least negative log-likelihood, found however the logits are scaled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.errors import DataError
from lnlattennet.evaluation._evaluate import _temperature_notes
from lnlattennet.evaluation._figures import compute_figures
from lnlattennet.training._calibration import (
    TEMPERATURES,
    fit_temperature,
    log_probabilities,
    negative_log_likelihood,
)


def sampled(seed: int, faces: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits that are exactly calibrated at temperature ``scale``: labels are drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(faces, 5)) * 2
    shares = np.exp(log_probabilities(logits))
    labels = np.array([rng.choice(5, p=row) for row in shares])
    return logits * scale, labels


@given(seed=st.integers(0, 10_000), scale=st.floats(0.05, 30))
@settings(max_examples=25, deadline=None)
def test_no_temperature_of_a_fine_grid_is_better(seed: int, scale: float) -> None:
    logits, labels = sampled(seed, 60, scale)
    found = fit_temperature(logits, labels)
    grid = np.geomspace(*TEMPERATURES, 400)
    losses = [negative_log_likelihood(logits, labels, float(value)) for value in grid]
    assert negative_log_likelihood(logits, labels, found) <= min(losses) + 1e-12
    assert abs(np.log(found / grid[int(np.argmin(losses))])) <= np.log(grid[1] / grid[0])


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.5, 10.0])
def test_it_recovers_the_temperature_that_the_labels_were_drawn_with(scale: float) -> None:
    logits, labels = sampled(1, 20_000, scale)
    assert fit_temperature(logits, labels) == pytest.approx(scale, rel=0.03)


def test_scaled_logits_give_a_scaled_temperature() -> None:
    logits, labels = sampled(4, 200, 1.0)
    once = fit_temperature(logits, labels)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3 * once, rel=1e-9)
    assert fit_temperature(logits + 1e4, labels) == pytest.approx(once, rel=1e-6)
    assert fit_temperature((logits * 50).astype(np.float32), labels) == pytest.approx(50 * once, rel=1e-4)


def test_with_every_face_right_there_is_nothing_to_learn() -> None:
    labels = np.arange(30) % 3
    for scale in (1e-3, 1.0, 1e3):
        assert fit_temperature(np.eye(3)[labels] * scale, labels) == 1.0
    assert fit_temperature(np.zeros((30, 3)), labels) == 1.0


def test_a_network_that_is_always_wrong_gets_the_largest_temperature() -> None:
    labels = np.arange(30) % 3
    assert fit_temperature(-np.eye(3)[labels], labels) == TEMPERATURES[1]


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), [], "at least 2 labeled faces, got 0"),
        (np.zeros((1, 3)), [0], "at least 2 labeled faces, got 1"),
        (np.full((2, 3), np.nan), [0, 1], "must be finite"),
        (np.zeros((2, 3)), [0, 3], "label 3 of face 1"),
    ],
)
def test_too_little_or_broken_data_is_refused(
    logits: NDArray[np.float64], labels: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_temperature(logits, np.array(labels, np.int64))


def test_a_temperature_that_does_harm_is_said() -> None:
    labels = np.array([0, 1] * 20)
    logits = np.where(np.arange(2) == labels[:, None], 1.0, -1.0).astype(np.float32)
    logits[:8] *= -1
    for temperature, harmful in ((0.1, True), (1.5, False), (1.0, False)):
        figures = compute_figures(logits, labels, ("a", "b"), temperature=temperature)
        [*notes] = _temperature_notes(figures)
        assert len(notes) == harmful
    [note] = _temperature_notes(compute_figures(logits, labels, ("a", "b"), temperature=0.1))
    assert note.startswith(
        "temperature 0.100 makes the confidence of these faces worse: ECE 20.0%, and 8.1% without"
    )
