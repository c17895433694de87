"""Readings of the network against what they are defined as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lnlattennet.evaluation.faithfulness._readings import (
    CONTRIBUTION,
    GRAD_CAM,
    ROLLOUT,
    WEIGHT,
    contributions,
    forward_with_parts,
    grad_cam,
    read_regions,
    rollout,
)
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._network import LNLAttenNet
from tests.conftest import SMALL


@pytest.fixture(params=["whole face", "own evidence"])
def network(request: pytest.FixtureRequest, checkpoint_path: Path) -> LNLAttenNet:
    if request.param == "whole face":
        return load_checkpoint(checkpoint_path).network()
    torch.manual_seed(1)
    network = LNLAttenNet(replace(SMALL, local_channels=2)).eval()
    with torch.no_grad():
        network.local_evidence.weight.normal_()
        network.fusion.weight.mul_(30)
    return network


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_contributions_and_the_bias_sum_to_the_logits(network: LNLAttenNet, images: Tensor) -> None:
    forward = forward_with_parts(network, images)
    with torch.no_grad():
        terms = contributions(network, forward)
        torch.testing.assert_close(terms.sum(dim=1) + network.fusion.bias, network(images).logits)


def test_a_contribution_is_that_to_the_prediction_over_the_mean_of_the_evaluated_classes(
    network: LNLAttenNet, images: Tensor
) -> None:
    columns = torch.tensor([1, 4, 2])
    found = read_regions(network, images, columns)[CONTRIBUTION]
    with torch.no_grad():
        terms = contributions(network, forward_with_parts(network, images))
        for face, logits in enumerate(network(images).logits):
            predicted = max(columns.tolist(), key=logits.tolist().__getitem__)
            expected = terms[face, :, predicted] - terms[face, :, columns].mean(dim=1)
            torch.testing.assert_close(found[face], expected)


def test_grad_cam_is_the_mean_of_its_map_in_every_region() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 9.0]]]])
    gradient = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]]])
    # Channels count 1 and -1: 1 - 1, 2 - 1, 3 - 1 and, negative, 4 - 9.
    assert grad_cam(features, gradient, grid=2).tolist() == [[0, 1, 2, 0]]
    assert grad_cam(features, gradient, grid=1).tolist() == [[0.75]]


def test_rollout_is_the_mean_row_of_the_affinity_with_its_residual() -> None:
    affinity = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])
    assert rollout(affinity).tolist() == [[0.375, 0.625]]


def test_every_reading_has_a_number_per_region_and_leaves_the_network_as_it_was(
    network: LNLAttenNet, images: Tensor
) -> None:
    readings = read_regions(network, images, torch.arange(7))
    assert list(readings) == [WEIGHT, CONTRIBUTION, GRAD_CAM, ROLLOUT]
    assert {tuple(scores.shape) for scores in readings.values()} == {(5, 16)}
    assert not any(scores.requires_grad for scores in readings.values())
    torch.testing.assert_close(readings[WEIGHT], network(images).region_weights.detach())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.unet._forward_hooks
    assert not network.fusion._forward_pre_hooks
