"""Accuracy of two models on the same faces, and its intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.export.gate._accuracy import compare_accuracy


def logits(answers: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.eye(4, dtype=np.float32)[answers]


def test_shares_and_lost_faces_are_counted() -> None:
    labels = np.array([0, 1, 2, 3, 0])
    engine, checkpoint = np.array([0, 1, 0, 0, 0]), np.array([0, 1, 2, 3, 1])
    found = compare_accuracy(logits(engine), logits(checkpoint), labels)
    assert (found.engine.value, found.checkpoint.value, round(found.drop.value, 12)) == (0.6, 0.8, 0.2)
    assert found.lost == (2, 3)
    assert found.check(0.2 + 1e-12, 8).passed
    check = found.check(0.19, 8)
    assert (check.passed, check.sample, check.batch, check.metric) == (False, 2, 8, "accuracy_drop")
    assert found.check(None, 8).passed


def test_an_answer_that_is_not_finite_is_wrong() -> None:
    labels = np.zeros(4, np.int64)
    broken = logits(labels)
    broken[1, 2] = np.nan
    found = compare_accuracy(broken, logits(labels), labels)
    assert (found.engine.value, found.lost) == (0.75, (1,))


def test_rounding_between_equally_likely_classes_loses_nothing() -> None:
    labels = np.zeros(4, np.int64)
    tied = np.array([[5, 5, 0, 0]] * 4, np.float32)
    engine = tied + np.float32(1e-5) * np.array([0, 1, 0, 0], np.float32)
    found = compare_accuracy(engine, tied, labels)
    assert (found.engine.value, found.checkpoint.value, found.drop.value, found.lost) == (0, 1, 0, ())
    engine[2] = np.nan
    assert compare_accuracy(engine, tied, labels).lost == (2,)


def test_equal_models_have_no_drop_and_no_doubt_about_it() -> None:
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 4, (2, 50))
    drop = compare_accuracy(logits(answers), logits(answers), labels).drop
    assert (drop.value, drop.low, drop.high) == (0, 0, 0)


def test_intervals_contain_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    hits = np.zeros(3)
    rounds, faces = 200, 300
    for _ in range(rounds):
        # The checkpoint is right for 80%; the engine for 90% of those, and for 30% of the rest: 78%.
        checkpoint = rng.random(faces) < 0.8
        engine = rng.random(faces) < np.where(checkpoint, 0.9, 0.3)
        found = compare_accuracy(logits(1 - engine), logits(1 - checkpoint), np.zeros(faces, np.int64))
        truths = ((found.engine, 0.78), (found.checkpoint, 0.8), (found.drop, 0.02))
        hits += [estimate.low <= truth <= estimate.high for estimate, truth in truths]
    # 95% of 200 with room for chance: 5 standard deviations of a share of 0.95.
    assert (hits / rounds >= 0.95 - 5 * np.sqrt(0.95 * 0.05 / rounds)).all()
    # Paired: far narrower than if the two saw different faces.
    width = found.drop.high - found.drop.low
    apart = np.hypot(found.engine.high - found.engine.low, found.checkpoint.high - found.checkpoint.low)
    assert width < 0.9 * apart
