"""The metrics against plain float64 loops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lnlattennet.export.gate._comparisons import (
    Output,
    cosine,
    differing_region,
    kl_divergence,
    max_abs,
    sum_error,
    tied_classes,
    top1_agreement,
    top3_overlap,
)

numbers = st.floats(-50, 50, width=32)


def pairs(*shape: int) -> st.SearchStrategy[tuple[Output, Output]]:
    one = hnp.arrays(np.float32, shape, elements=numbers)
    return st.tuples(one, one)


def kl_loop(found: list[float], expected: list[float]) -> float:
    def probabilities(logits: list[float]) -> list[float]:
        powers = [math.exp(value - max(logits)) for value in logits]
        return [power / math.fsum(powers) for power in powers]

    def log_sum(logits: list[float]) -> float:
        return max(logits) + math.log(math.fsum(math.exp(value - max(logits)) for value in logits))

    return math.fsum(
        p * ((a - log_sum(expected)) - (b - log_sum(found)))
        for p, a, b in zip(probabilities(expected), expected, found, strict=True)
    )


@settings(deadline=None, max_examples=50)
@given(pairs(3, 5))
def test_kl_divergence_is_that_of_a_float64_loop(arrays: tuple[Output, Output]) -> None:
    found, expected = arrays
    oracle = [kl_loop(a, b) for a, b in zip(found.tolist(), expected.tolist(), strict=True)]
    np.testing.assert_allclose(kl_divergence(found, expected).value, oracle, rtol=1e-9, atol=1e-12)
    assert (kl_divergence(expected, expected).value == 0).all()


def test_kl_divergence_of_two_coins() -> None:
    expected, found = (np.log(np.array([p], np.float64)).astype(np.float32) for p in ([0.5, 0.5], [0.9, 0.1]))
    answer = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert abs(kl_divergence(found, expected).value[0] - answer) < 1e-7


@settings(deadline=None, max_examples=50)
@given(pairs(2, 3, 3))
def test_cosine_is_that_of_a_loop_and_exactly_one_for_the_same(arrays: tuple[Output, Output]) -> None:
    found, expected = arrays
    for row, value in enumerate(cosine(found, expected).value):
        a, b = found[row].ravel().tolist(), expected[row].ravel().tolist()
        norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
        if norms > 1e-60:
            dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
            assert abs(value - dot / norms) < 1e-9
    assert (cosine(expected, expected).value == 1).all()


def test_cosine_with_nothing() -> None:
    zero, one = np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32)
    assert cosine(zero, zero).value.tolist() == [1.0]
    assert cosine(one, zero).value.tolist() == cosine(zero, one).value.tolist() == [0.0]


def test_the_largest_excess_is_checked_not_the_largest_difference() -> None:
    expected = np.array([[30.0, 1.0]], np.float32)
    found = np.array([[30.6, 1.5]], np.float32)
    scores = max_abs(found, expected, 0.1, 0.02)
    assert scores.allowed is not None
    assert (scores.value[0], round(scores.allowed[0], 9)) == (0.5, 0.12)


def test_an_absolute_tolerance_grows_with_logits_that_float32_rounds_coarsely() -> None:
    logits = np.array([[3200.0, -1.0, 0.0], [3.0, -1.0, 0.0]], np.float32)
    rounded = logits + np.array([0.0, 5e-4, -5e-4], np.float32)
    scores = max_abs(rounded, logits, 1e-4)
    assert scores.allowed is not None
    np.testing.assert_allclose(scores.allowed, [1e-2, 1e-4])
    assert (scores.value > scores.allowed).tolist() == [False, True]
    exact = max_abs(rounded, logits).allowed
    assert exact is not None
    assert not exact.any()


def test_classes_as_likely_as_the_first_are_ties() -> None:
    rows = [[2.0, 2.0, 0], [2.0, 1.9901, 0], [2.0, 1.98, 0], [-900.0, -900.005, -901]]
    expected = np.array(rows, np.float32)
    second = np.tile(np.array([0, 1, 0], np.float32), (4, 1))
    assert top1_agreement(second, expected).value.tolist() == [1.0, 1.0, 0.0, 1.0]
    assert top1_agreement(second[:, [0, 2, 1]], expected).value.tolist() == [0.0] * 4
    assert tied_classes(expected).tolist() == [True, True, False, True]


def test_overlap_counts_the_heaviest_three_in_any_order() -> None:
    expected = np.array([[0.4, 0.3, 0.2, 0.1]], np.float32)
    assert top3_overlap(expected[:, [1, 2, 0, 3]], expected).value.tolist() == [1.0]
    assert top3_overlap(expected[:, ::-1], expected).value.tolist() == [2 / 3]
    assert top3_overlap(expected[:, :2][:, ::-1], expected[:, :2]).value.tolist() == [1.0]


def test_agreement_sums_and_regions() -> None:
    a = np.array([[1, 2, 0], [5, 1, 1]], np.float32)
    b = np.array([[0, 2, 1], [1, 5, 1]], np.float32)
    assert top1_agreement(a, b).value.tolist() == [1.0, 0.0]
    assert sum_error(a, b).value.tolist() == [2.0, 6.0]
    assert differing_region(a, b).tolist() == [0, 0]
    rows = np.array([[[1, 0], [0.5, 0.25]]], np.float32)
    scores = sum_error(rows, rows)
    assert scores.region is not None
    assert (scores.value.tolist(), scores.region.tolist()) == ([0.25], [1])
    assert differing_region(rows, np.array([[[1, 0], [0.5, 0.5]]], np.float32)).tolist() == [1]
