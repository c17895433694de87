"""Intervals of means, of medians and of ratios of medians."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from lnlattennet import _statistics
from lnlattennet._statistics import (
    mcnemar,
    mean_interval,
    mean_ratio_interval,
    median_interval,
    median_of_starts,
    p99,
    ratio_interval,
    ratio_of_starts,
    student_interval,
    tail_interval,
)


def test_a_median_lies_in_its_interval_which_shows_the_spread() -> None:
    assert median_interval([2.0] * 9) == (2, 2, 2)
    median, low, high = median_interval([float(value) for value in range(1, 102)])
    assert median == 51
    assert 30 < low < 51 < high < 72


def test_a_99th_percentile_needs_100_timings() -> None:
    assert p99([1.0] * 99) is None
    assert p99([1.0] * 99 + [101.0]) == pytest.approx(2)


def test_a_ratio_is_of_medians_and_its_interval_shows_the_spread() -> None:
    assert ratio_interval([6.0] * 9, [2.0] * 9) == (3, 3, 3)
    slow = [6.0, 60.0] * 20
    # The machine's slow rounds hit both, so the ratio stays what it is.
    ratio, low, high = ratio_interval(slow, [value / 3 for value in slow])
    assert (ratio, low, high) == pytest.approx((3, 3, 3))
    _, low, high = ratio_interval(slow, [2.0] * 40)
    assert low < 4
    assert high > 20


def test_starts_are_the_sample_however_many_calls_they_have() -> None:
    # Every start is slower or faster as a whole, as a process's layout of memory makes it.
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        paces = np.exp(rng.normal(0, 0.1, (2, 5, 1)))
        own, other = paces * [[[2.0]], [[1.0]]] * np.exp(rng.normal(0, 0.01, (2, 5, 50)))
        _, low, high = ratio_of_starts(own.tolist(), other.tolist())
        hits += low < 2 < high
    assert binomtest(hits, 400, 0.95).pvalue > 0.001
    _, low, high = ratio_interval(own.ravel().tolist(), other.ravel().tolist())
    assert high - low < 0.2, "the calls alone would have told nothing of it"


def test_a_single_start_is_judged_by_its_calls() -> None:
    calls = [1.0, 2.0, 3.0] * 9
    assert median_of_starts([calls]) == median_interval(calls)
    assert ratio_of_starts([calls], [[2.0] * 27]) == ratio_interval(calls, [2.0] * 27)


def test_a_figure_of_starts_is_the_geometric_mean_of_their_medians() -> None:
    assert median_of_starts([[1.0, 1, 9], [4.0, 4, 5]]).value == pytest.approx(2)
    assert ratio_of_starts([[1.0], [4.0]], [[1.0], [1.0]]).value == pytest.approx(2)


def test_an_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).normal(size=7)
    expected = ttest_1samp(values, 0).confidence_interval()
    assert student_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_a_tail_counts_more_the_rarer_it_is_seen() -> None:
    assert tail_interval([3.0] * 40) == (1, 1, 1)
    # One request of forty is late: a draw in three has none of them.
    tail, low, high = tail_interval([1.0] * 39 + [10.0])
    assert low == 1 < tail < high == 10


def test_a_ratio_of_means_draws_both_values_of_a_face_together() -> None:
    lost = np.array([0.0, 1.0, 0.0, 1.0] * 10, np.float64)
    assert mean_ratio_interval(3.0 * lost, lost) == pytest.approx((3, 3, 3))
    ratio = mean_ratio_interval(1.0 - lost, lost)
    assert ratio is not None
    assert ratio.low < ratio.value == 1 < ratio.high
    assert mean_ratio_interval(lost, np.zeros(40)) is None
    rare = mean_ratio_interval(np.ones(3), np.array([1.0, 0, 0]))
    assert rare is not None
    assert rare.low == 1, "draws without the one face that has a ratio are left out"


def test_a_ratio_over_a_mean_that_is_zero_but_for_rounding_is_left_out() -> None:
    # Accuracy lost by a face of three random orders, of which some are right.
    lost = np.array([1 - 1 / 3, 0 - 1 / 3, 0 - 1 / 3, 0.0, 0.0, 0.0])
    assert lost.mean() != 0
    assert mean_ratio_interval(np.ones(6), lost) is None
    estimate = mean_ratio_interval(np.ones(8), np.append(lost, [1.0, 1.0]))
    assert estimate is not None
    assert estimate.high < 1e3


def test_draws_do_not_depend_on_how_many_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random(50)
    whole = mean_interval(values, seed=4)
    monkeypatch.setattr(_statistics, "_DRAWS_AT_ONCE", 333)
    assert mean_interval(values, seed=4) == whole
    assert whole.low < whole.value == values.mean() < whole.high


@pytest.mark.parametrize("counts", [(0, 0), (0, 5), (5, 0), (7, 7), (12, 30), (214, 1154)])
def test_mcnemar_is_the_binomial_test_of_the_discordant_faces(counts: tuple[int, int]) -> None:
    expected = binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar(*counts) == pytest.approx(expected)
