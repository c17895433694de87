"""Contents and steps of an epoch: orders, class weights, augmentation, schedules."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.training._augmentation import AUGMENTATIONS, augment_lightly
from lnlattennet.training._dataset import BalancedOrder, EpochOrder, FaceImages, class_weights
from lnlattennet.training._module import cosine

LABELS = np.array([0] * 900 + [1] * 90 + [2] * 10)


@given(count=st.integers(1, 300), seed=st.integers(0, 4095), epoch=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_an_epoch_shows_every_face_once_in_an_order_of_its_own(count: int, seed: int, epoch: int) -> None:
    order = EpochOrder(count, seed, epoch)
    assert sorted(order) == list(range(count))
    assert list(order) == list(EpochOrder(count, seed, epoch))
    if count > 20:
        assert list(order) != list(EpochOrder(count, seed, epoch + 1))


def test_balanced_sampling_shows_every_class_equally_often() -> None:
    drawn = np.concatenate([list(BalancedOrder(LABELS, 0, epoch)) for epoch in range(10)])
    counts = np.bincount(LABELS[drawn % len(LABELS)])
    # 10,000 draws at a chance of a third each: a standard deviation of 47.
    assert np.abs(counts - 10_000 / 3).max() < 5 * 47
    assert len(BalancedOrder(LABELS, 0, 0)) == len(list(BalancedOrder(LABELS, 0, 0))) == 1000


def test_every_draw_of_an_epoch_is_changed_in_its_own_way() -> None:
    order = list(BalancedOrder(LABELS, 5, 1))
    assert len(set(order)) == len(order)
    assert order == list(BalancedOrder(LABELS, 5, 1))
    images = np.random.default_rng(0).integers(0, 256, (len(LABELS), 16, 16, 3), dtype=np.uint8)
    faces = FaceImages(images, LABELS, augmentation=(5, 1))
    first, second = faces[995], faces[995 + len(LABELS)]
    assert first[1] == second[1] == 2
    assert not np.array_equal(first[0], second[0])
    plain = FaceImages(images, LABELS)
    assert np.array_equal(plain[995 + len(LABELS)][0], images[995])


def test_class_weights_are_the_inverse_of_how_often_a_class_comes() -> None:
    weights = class_weights(LABELS, 3).numpy()
    np.testing.assert_allclose(weights, [1000 / 2700, 1000 / 270, 1000 / 30], rtol=1e-6)
    assert weights[LABELS].mean() == pytest.approx(1)


def test_light_augmentation_leaves_every_image_sharp_and_uncovered() -> None:
    """It only moves and relights: an image of one color stays smooth, which noise or a box would end."""
    assert set(AUGMENTATIONS) == {"none", "light", "full"}
    plain = np.full((48, 48, 3), 128, np.uint8)
    for seed in range(60):
        changed = augment_lightly(plain, np.random.default_rng(seed)).astype(int)
        assert np.abs(np.diff(changed, axis=0)).max() <= 8
        assert np.abs(np.diff(changed, axis=1)).max() <= 8


def test_the_cosine_schedule_warms_up_evenly_and_falls_to_nothing() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    schedule = cosine(optimizer, steps=12, warm_up_steps=4)
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates[:4], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(rates[4:], [0.25 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])
    assert all(first > second for first, second in itertools.pairwise(rates[4:]))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
