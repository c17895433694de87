"""The joint loss with class weights and label smoothing, against plain loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import JointOutputs, Outputs

CONFIG = NetworkConfig(classes=3, grid=2, image_size=16, lambda_local=0.7, lambda_nonlocal=0.3)
TARGET = [0, 1, 2, 1, 0]


def random_joint() -> JointOutputs:
    torch.manual_seed(4)
    outputs = Outputs(torch.randn(5, 3), torch.rand(5, 4).softmax(dim=1), torch.rand(5, 4, 4))
    return JointOutputs(outputs, torch.randn(5, 4, 3), torch.randn(5, 3))


def smoothed(logits: Tensor, label: int, weights: list[float], smoothing: float) -> float:
    """Return -sum_c q_c weight_c log p_c, q the smoothed target."""
    values: list[float] = logits.double().tolist()
    total = math.log(sum(math.exp(value) for value in values))
    share = [smoothing / 3 + (1 - smoothing) * (c == label) for c in range(3)]
    return sum(-share[c] * weights[c] * (values[c] - total) for c in range(3))


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.5]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_and_smoothing_equal_plain_loops(weights: list[float] | None, smoothing: float) -> None:
    joint = random_joint()
    outputs, local, whole = joint
    each = weights or [1.0, 1.0, 1.0]
    expected = 0.0
    for b, label in enumerate(TARGET):
        expected += smoothed(outputs.logits[b], label, each, smoothing)
        expected += 0.3 * smoothed(whole[b], label, each, smoothing)
        for k in range(4):
            weight = float(outputs.region_weights[b, k])
            expected += 0.7 * weight * smoothed(local[b, k], label, each, smoothing)
    expected /= sum(each[label] for label in TARGET)
    found = joint_loss(
        joint,
        torch.tensor(TARGET),
        CONFIG,
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.5]])
def test_the_loss_of_probabilities_is_that_of_the_classes_in_their_shares(
    weights: list[float] | None,
) -> None:
    torch.manual_seed(5)
    joint, shares = random_joint(), torch.randn(5, 3).softmax(dim=1)
    chosen = None if weights is None else torch.tensor(weights)
    found = joint_loss(joint, shares, CONFIG, class_weights=chosen, label_smoothing=0.1)
    expected = 0.0
    for label in range(3):
        for b in range(5):
            one = JointOutputs(
                Outputs(*(tensor[b : b + 1] for tensor in joint.outputs)),
                joint.local_logits[b : b + 1],
                joint.nonlocal_logits[b : b + 1],
            )
            certain = torch.eye(3)[[label]]
            loss = joint_loss(one, certain, CONFIG, class_weights=chosen, label_smoothing=0.1)
            expected += float(shares[b, label] * loss) / 5
    assert float(found) == pytest.approx(expected, rel=1e-5)
    if weights is None:
        hard = joint_loss(joint, torch.tensor(TARGET), CONFIG)
        assert float(joint_loss(joint, torch.eye(3)[TARGET], CONFIG)) == pytest.approx(float(hard), rel=1e-6)


def test_equal_weights_change_nothing() -> None:
    joint, target = random_joint(), torch.tensor(TARGET)
    weighted = joint_loss(joint, target, CONFIG, class_weights=torch.full((3,), 2.5))
    assert float(weighted) == pytest.approx(float(joint_loss(joint, target, CONFIG)), rel=1e-6)
