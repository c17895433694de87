"""Smoothing: what it makes of outliers and changes, at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.streams.tracks._names import Smoothing
from lnlattennet.streams.tracks._smoothing import smoother

HAPPY = np.array([0.9, 0.05, 0.05], np.float32)
SAD = np.array([0.05, 0.9, 0.05], np.float32)


def smoothed(kind: Smoothing, frames: list[NDArray[np.float32]], rate: float = 30) -> NDArray[np.float32]:
    step, before, results = smoother(kind, 0.5), None, []
    for raw in frames:
        before = step(before, raw, 1 / rate)
        results.append(before)
    return np.stack(results)


@pytest.mark.parametrize("kind", Smoothing)
def test_an_outlier_does_not_change_the_label_and_a_change_does(kind: Smoothing) -> None:
    shares = smoothed(kind, [HAPPY] * 30 + [SAD] * 2 + [HAPPY] * 30 + [SAD] * 60)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    labels = shares.argmax(axis=1)
    assert (labels[:62] == 0).all()
    # Within a second, and once.
    assert (labels[92:] == 1).all()
    assert np.count_nonzero(np.diff(labels)) == 1


@pytest.mark.parametrize("kind", Smoothing)
def test_the_result_does_not_depend_on_the_frame_rate(kind: Smoothing) -> None:
    slow = smoothed(kind, [HAPPY] * 10 + [SAD] * 10, rate=15)
    fast = smoothed(kind, [HAPPY] * 20 + [SAD] * 20, rate=30)
    np.testing.assert_allclose(fast[1::2][-1], slow[-1], atol=0.05)


def test_the_filter_is_that_of_a_hidden_markov_model() -> None:
    """Against the joint probability of every path of states, by brute force."""
    rate, dwell, frames = 2.0, 2.0, [HAPPY, SAD, SAD, HAPPY]
    stays = np.exp(-1 / rate / dwell)
    change = stays * np.eye(3) + (1 - stays) / 3
    paths = np.stack(np.meshgrid(*[range(3)] * 4, indexing="ij"), -1).reshape(-1, 4)
    weights = np.array(
        [
            HAPPY[path[0]] * np.prod([change[path[i - 1], path[i]] * frames[i][path[i]] for i in (1, 2, 3)])
            for path in paths
        ]
    )
    expected = np.array([weights[paths[:, -1] == state].sum() for state in range(3)])
    found = smoothed(Smoothing.HMM, frames, rate)[-1]
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-5)


def test_a_class_that_one_frame_rules_out_comes_back() -> None:
    never = np.array([1, 0, 0], np.float32)
    assert smoothed(Smoothing.HMM, [never] * 30 + [SAD] * 90)[-1].argmax() == 1
