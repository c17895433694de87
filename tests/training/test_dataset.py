"""Contents and steps of an epoch: orders, class weights, augmentation, schedules."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._augmentation import augment_crop, augment_lightly
from lnlattennet.training._dataset import BalancedOrder, EpochOrder, FaceImages, class_weights, collate
from lnlattennet.training._mixing import Mixing
from lnlattennet.training._module import cosine, decay_groups

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


def test_class_weights_of_probabilities_are_those_of_their_sums() -> None:
    shares = np.eye(3, dtype=np.float32)[LABELS]
    assert torch.equal(class_weights(shares, 3), class_weights(LABELS, 3))
    shares[:90] = [0.5, 0.5, 0]
    np.testing.assert_allclose(class_weights(shares, 3), [1000 / (3 * n) for n in (855, 135, 10)], rtol=1e-6)


def mixing(mixup: float, cutmix: float, epoch: int = 1) -> Mixing:
    return Mixing(mixup=mixup, cutmix=cutmix, classes=3, seed=7, epoch=epoch)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 6 faces of one value each, 0 to 5, and their labels."""
    faces = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 16, 16).clone()
    return faces, torch.tensor([0, 1, 2, 0, 1, 2])


@given(mixup=st.sampled_from([0, 0.2, 1]), cutmix=st.sampled_from([0, 1]), number=st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_mixed_targets_have_the_shares_of_the_mixed_pixels(mixup: float, cutmix: float, number: int) -> None:
    if not mixup and not cutmix:
        return
    faces, labels = batch()
    mixed, targets = mixing(mixup, cutmix)(faces, labels, number)
    assert targets.sum(dim=1).numpy() == pytest.approx(1)
    # Of one value a face, so that the mean tells how much of the neighbor it has.
    shares = mixed[1:].mean(dim=(1, 2, 3)).double() - torch.arange(0.0, 5)
    expected = targets[range(1, 6), labels[1:]].double()
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    if not mixup:
        assert set(np.unique(mixed)) <= set(range(6))


def test_a_batch_is_mixed_alike_only_when_its_epoch_is_repeated() -> None:
    def mixed(epoch: int, number: int) -> list[float]:
        targets = mixing(0.4, 1.0, epoch)(*batch(), number)[1]
        return targets.flatten().tolist()

    assert mixed(1, 5) == mixed(1, 5)
    assert mixed(1, 5) != mixed(1, 6)
    assert mixed(1, 5) != mixed(2, 5)


def test_mixing_shares_no_draws_with_the_changes_of_a_face() -> None:
    drawn: list[float] = []

    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        rng.integers(1)
        drawn.append(float(rng.beta(0.4, 0.4)))
        return image

    faces = FaceImages(np.zeros((6, 16, 16, 3), np.uint8), np.arange(6), (7, 1), change)
    # Of the second face, whose pixels are 1, is left what its neighbor, of zeros, has not got.
    shares = [float(mixing(0.4, 0.0)(*batch(), faces[number].draw)[0][1].mean()) for number in range(6)]
    assert all(abs(share - other) > 1e-3 for share, other in zip(shares, drawn, strict=True))


def test_probabilities_are_mixed_as_they_are() -> None:
    shares = torch.rand(6, 3).softmax(dim=1)
    faces, _ = batch()
    mixed, targets = mixing(0.4, 0.0)(faces, shares, 3)
    share = float(mixed[1].mean())
    np.testing.assert_allclose(targets[1], share * shares[1] + (1 - share) * shares[0], rtol=1e-5)


def test_batches_carry_class_probabilities() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    shares = np.full((4, 3), 1 / 3, np.float32)
    data = FaceImages(images, shares)
    _, targets = collate([data[index] for index in (2, 0)], Preprocessing(size=16))
    assert targets.dtype == torch.float32
    assert targets.shape == (2, 3)


def test_biases_norms_queries_and_positions_do_not_decay() -> None:
    network = LNLAttenNet(NetworkConfig(image_size=16, widths=(4, 6), grid=2))
    decayed, rest = (set(map(id, group["params"])) for group in decay_groups(network, 0.1))
    names = {name for name, value in network.named_parameters() if id(value) in rest}
    assert len(decayed) + len(rest) == len(list(network.parameters()))
    assert {"nonlocal_attention.position", "local_networks.query", "local_networks.bias"} <= names
    assert {"fusion.bias", "unet.stem.0.1.weight", "unet.stem.0.1.bias"} <= names
    assert (
        not {"fusion.weight", "local_networks.weight", "local_heads.weight", "unet.stem.0.0.weight"} & names
    )


@pytest.mark.parametrize("magnitude", [0.5, 1.0, 3.0])
def test_changes_of_real_faces_leave_an_image_and_grow_with_the_magnitude(magnitude: float) -> None:
    rng = np.random.default_rng(1)
    face = np.asarray(cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (48, 48)), np.uint8)
    changed = [augment_crop(face, np.random.default_rng(seed), magnitude) for seed in range(100)]
    assert all(image.shape == face.shape and image.dtype == np.uint8 for image in changed)
    likeness = [
        max(np.corrcoef(image.ravel(), seen.ravel())[0, 1] for seen in (face, face[:, ::-1]))
        for image in changed
    ]
    least, most = {0.5: (0.8, 1.0), 1.0: (0.5, 0.9), 3.0: (0.1, 0.6)}[magnitude]
    assert least < np.nanmean(likeness) < most


def test_light_augmentation_leaves_every_image_sharp_and_uncovered() -> None:
    """It only moves and relights: an image of one color stays smooth, which noise or a box would end."""
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
