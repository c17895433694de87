"""Figures against torchmetrics, plain loops and hand-computed cases."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet._statistics import interval
from lnlattennet.errors import DataError
from lnlattennet.evaluation._figures import Figure, compute_figures
from lnlattennet.evaluation._metrics import (
    BINS,
    accuracy,
    bin_of,
    confidence,
    confusion_matrix,
    expected_calibration_error,
    f1,
    macro_f1,
    recall,
    reliability,
    resample,
)

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]


def some_answers(seed: int, faces: int, classes: int) -> tuple[Logits, Labels]:
    """Answers better than chance, some of them ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, faces)
    logits = rng.normal(size=(faces, classes)).astype(np.float32)
    logits[np.arange(faces), labels] += 1
    logits[:: max(2, faces // 3)] = 0.5
    return logits, labels


answer_cases = st.builds(
    some_answers, seed=st.integers(0, 2**31), faces=st.integers(1, 60), classes=st.integers(2, 9)
)


@given(answer_cases)
@settings(max_examples=60, deadline=None)
def test_counts_and_shares_are_those_of_torchmetrics(case: tuple[Logits, Labels]) -> None:
    logits, labels = case
    classes = logits.shape[1]
    found = confusion_matrix(labels, logits.argmax(axis=1), classes)
    answers, truth = torch.from_numpy(logits.argmax(axis=1)), torch.from_numpy(labels)
    expected = oracle.multiclass_confusion_matrix(answers, truth, classes)
    assert found.tolist() == expected.tolist()
    assert accuracy(found) == pytest.approx(
        float(oracle.multiclass_accuracy(answers, truth, classes, average="micro"))
    )
    assert macro_f1(found) == pytest.approx(
        float(oracle.multiclass_f1_score(answers, truth, classes, average="macro")), abs=1e-6
    )
    # torchmetrics calls the recall of a class without faces 0; here it is unknown.
    recalls = oracle.multiclass_recall(answers, truth, classes, average="none").numpy()
    np.testing.assert_allclose(np.nan_to_num(recall(found)), recalls, atol=1e-6)
    assert np.isnan(recall(found)).tolist() == (np.bincount(labels, minlength=classes) == 0).tolist()


@given(answer_cases, st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_calibration_is_that_of_torchmetrics_and_of_plain_loops(
    case: tuple[Logits, Labels], temperature: float
) -> None:
    logits, labels = case
    found = compute_figures(logits, labels, tuple(map(str, range(logits.shape[1]))), temperature=temperature)
    last = list(found.calibration.values())[-1]
    # A share of exactly 1/3 or 1/5 is a bin's edge, where the last bit decides between the two bins.
    largest = np.array([max(probabilities(row, temperature)) for row in logits])
    if np.abs(largest[:, None] * BINS - np.arange(BINS + 1)).min() > 1e-9:
        assert last.ece == pytest.approx(ece_by_loops(logits, labels, temperature), abs=1e-9)
    expected_nll = -np.mean(
        [math.log(probabilities(row, temperature)[label]) for row, label in zip(logits, labels, strict=True)]
    )
    assert last.nll == pytest.approx(expected_nll, abs=1e-9)
    scaled = torch.from_numpy(logits / np.float32(temperature)).softmax(dim=1)
    confidences = scaled.max(dim=1).values.numpy()
    # At a bin's edge rounding decides, and torchmetrics counts the edge to the upper bin.
    if np.abs(confidences[:, None] * BINS - np.arange(BINS + 1)).min() > 1e-4:
        theirs = oracle.multiclass_calibration_error(
            scaled, torch.from_numpy(labels), logits.shape[1], n_bins=BINS, norm="l1"
        )
        assert last.ece == pytest.approx(float(theirs), abs=1e-5)


def probabilities(logits: Logits, temperature: float) -> list[float]:
    powers = [math.exp(float(value) / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


def ece_by_loops(logits: Logits, labels: Labels, temperature: float) -> float:
    shares = [probabilities(row, temperature) for row in logits]
    error = 0.0
    for number in range(BINS):
        members = [
            (max(share), share.index(max(share)) == label)
            for share, label in zip(shares, labels, strict=True)
            if number / BINS < max(share) <= (number + 1) / BINS
        ]
        if members:
            mean_confidence = sum(member[0] for member in members) / len(members)
            share_right = sum(member[1] for member in members) / len(members)
            error += len(members) / len(labels) * abs(share_right - mean_confidence)
    return error


def test_a_small_case_by_hand() -> None:
    """Classes a, b, c, d: two a (one read as b), one b (right), one d read as a; c occurs nowhere."""
    found = confusion_matrix(np.array([0, 0, 1, 3]), np.array([0, 1, 1, 0]), 4)
    assert found.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert accuracy(found) == 0.5
    np.testing.assert_array_equal(recall(found), [0.5, 1, np.nan, 0])
    np.testing.assert_allclose(f1(found), [0.5, 2 / 3, np.nan, 0])
    assert macro_f1(found) == pytest.approx((0.5 + 2 / 3 + 0) / 3)


def test_bins_hold_their_upper_edge() -> None:
    edges = np.arange(1, BINS + 1) / BINS
    assert bin_of(edges).tolist() == list(range(BINS))
    assert bin_of(np.nextafter(edges, 2)).tolist() == [*range(1, BINS), BINS - 1]
    assert bin_of(np.array([0.0, 1.0])).tolist() == [0, BINS - 1]


def test_the_reliability_diagram_adds_up_to_the_calibration_error() -> None:
    logits, labels = some_answers(5, 300, 7)
    confidences, right = confidence(logits, 1.0), logits.argmax(axis=1) == labels
    bins = reliability(confidences, right)
    assert sum(entry.faces for entry in bins) == 300
    gaps = [
        entry.faces / 300 * abs(entry.accuracy - entry.confidence)
        for entry in bins
        if entry.accuracy is not None and entry.confidence is not None
    ]
    assert expected_calibration_error(confidences, right) == pytest.approx(sum(gaps))
    for entry in bins:
        assert (entry.confidence is None) == (entry.faces == 0)
        if entry.confidence is not None:
            assert entry.low < entry.confidence <= entry.high


def test_resampled_figures_are_those_of_the_drawn_faces() -> None:
    """Draw the same random numbers again, and compute every figure draw by draw."""
    logits, labels = some_answers(8, 40, 4)
    answers, confidences = logits.argmax(axis=1), confidence(logits, 1.0)
    found = resample(labels, answers, confidences, 4, seed=6, resamples=25)
    draws = np.random.default_rng(6).integers(0, 40, (25, 40))
    for row, drawn in enumerate(draws):
        confusion = confusion_matrix(labels[drawn], answers[drawn], 4)
        assert found.accuracy[row] == accuracy(confusion)
        assert found.macro_f1[row] == pytest.approx(float(macro_f1(confusion)))
        np.testing.assert_array_equal(found.recall[row], recall(confusion))
        error = expected_calibration_error(confidences[drawn], answers[drawn] == labels[drawn])
        assert found.ece[row] == pytest.approx(error)


def test_many_faces_are_resampled_in_parts_that_fit_in_memory() -> None:
    rng = np.random.default_rng(1)
    labels, answers, confidences = (
        rng.integers(0, 3, 700_000),
        rng.integers(0, 3, 700_000),
        rng.random(700_000),
    )
    found = resample(labels, answers, confidences, 3, seed=0, resamples=5)
    assert found.accuracy.shape == found.ece.shape == (5,)
    assert len(set(found.accuracy.tolist())) == 5


def test_an_interval_of_accuracy_is_that_of_the_binomial() -> None:
    """400 faces, 80% right: a normal approximation gives 0.8 ± 1.96 · 0.02."""
    labels = np.zeros(400, np.int64)
    answers = (np.arange(400) >= 320).astype(np.int64)
    low, high = interval(resample(labels, answers, np.full(400, 0.7), 2, seed=1).accuracy)
    assert low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.006)
    assert high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.006)


@given(answer_cases, st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_every_interval_holds_shares_and_is_repeated_for_a_seed(
    case: tuple[Logits, Labels], seed: int
) -> None:
    logits, labels = case
    names = tuple(f"class {index}" for index in range(logits.shape[1]))
    found = compute_figures(logits, labels, names, seed=seed)
    assert found == compute_figures(logits, labels, names, seed=seed)
    entries = [
        found.accuracy,
        found.macro_f1,
        found.ece,
        *(row.recall for row in found.classes),
    ]
    for entry in entries:
        if entry.value is None:
            assert entry.low is None
            assert entry.high is None
        else:
            assert entry.low is not None
            assert entry.high is not None
            assert 0 <= entry.low <= entry.high <= 1 + 1e-12
    value, low, high = np.array(dataclasses.astuple(found.accuracy), np.float64)
    assert 0 <= low <= value <= high <= 1


def test_one_face_and_a_class_without_faces() -> None:
    found = compute_figures(np.array([[0.0, 2.0, 0.0]], np.float32), np.array([1]), ("a", "b", "c"))
    assert found.accuracy == Figure(1.0, 1.0, 1.0)
    assert [row.recall.value for row in found.classes] == [None, 1.0, None]
    assert [row.f1 for row in found.classes] == [None, 1.0, None]
    assert found.macro_f1.value == 1.0


def test_of_equal_logits_the_first_class_is_predicted() -> None:
    found = compute_figures(np.array([[1, 1], [1, 1]], np.float32), np.array([0, 1]), ("a", "b"))
    assert found.confusion == [[1, 0], [1, 0]]


def test_a_temperature_changes_confidence_only() -> None:
    logits, labels = some_answers(2, 200, 5)
    plain = compute_figures(logits, labels, tuple("abcde"))
    scaled = compute_figures(logits, labels, tuple("abcde"), temperature=4.0)
    for name in ("accuracy", "macro_f1", "classes", "confusion"):
        assert getattr(plain, name) == getattr(scaled, name)
    assert list(plain.calibration) == ["before"]
    assert scaled.calibration["before"] == plain.calibration["before"]
    assert scaled.calibration["after"].nll != scaled.calibration["before"].nll
    assert scaled.ece.value == scaled.calibration["after"].ece


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[0.0, 1.0], [float("nan"), 0.0]], [0, 1], "the first is face 1"),
        ([[0.0, float("inf")]], [0], "must be finite, but 1 of 1"),
        ([[0.0, 1.0]], [2], "label 2 of face 0 must be from 0 to 1"),
        ([[0.0, 1.0]], [-1], "label -1 of face 0"),
        ([[0.0, 1.0]], [0, 1], "one label per face"),
        ([0.0, 1.0], [0, 1], r"must be \[faces, classes\]"),
    ],
)
def test_predictions_that_break_a_rule_are_refused(
    logits: list[object], labels: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        compute_figures(np.array(logits, np.float32), np.array(labels), ("a", "b"))
