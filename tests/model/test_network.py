"""Properties of the network that its users rely on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._local_networks import LocalEvidence
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import JointOutputs, LNLAttenNet, Outputs

SMALL = NetworkConfig(
    image_size=32, widths=(4, 6), channels=5, heads=2, local_features=3, affinity_features=4
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.0, 1.0, 100.0]))
def test_region_weights_and_affinity_rows_are_distributions(seed: int, scale: float) -> None:
    torch.manual_seed(seed)
    outputs = LNLAttenNet(SMALL).eval()(torch.randn(2, 3, 32, 32) * scale)
    assert outputs.logits.shape == (2, 7)
    assert outputs.region_weights.shape == (2, 16)
    assert outputs.region_affinity.shape == (2, 16, 16)
    for distribution in (outputs.region_weights, outputs.region_affinity):
        assert (distribution >= 0).all()
        torch.testing.assert_close(distribution.sum(-1), torch.ones_like(distribution.sum(-1)))


def test_the_answer_of_a_sample_does_not_depend_on_its_batch_neighbors() -> None:
    network = LNLAttenNet(SMALL).eval()
    images = torch.randn(5, 3, 32, 32)
    together = network(images)
    reversed_order = network(images.flip(0))
    for index in range(5):
        alone = network(images[index : index + 1])
        for name in ("logits", "region_weights", "region_affinity"):
            torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[index])
            torch.testing.assert_close(getattr(alone, name)[0], getattr(reversed_order, name)[4 - index])


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(1)
    network = LNLAttenNet(SMALL).train()
    loss = joint_loss(network.joint(torch.randn(8, 3, 32, 32)), torch.arange(8) % 7, SMALL)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("zero", "untouched"), [("lambda_local", "local_heads"), ("lambda_nonlocal", "nonlocal_head")]
)
def test_a_zero_lambda_switches_its_term_off(zero: str, untouched: str) -> None:
    config = NetworkConfig.from_dict(SMALL.to_dict() | {zero: 0.0})
    network = LNLAttenNet(config).train()
    loss = joint_loss(network.joint(torch.randn(4, 3, 32, 32)), torch.arange(4), config)
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in getattr(network, untouched).parameters():
        assert parameter.grad is None or not parameter.grad.any()


def test_the_local_term_moves_weight_to_the_region_that_can_tell() -> None:
    """Gradient descent on the joint loss must raise the weight of the only right region."""
    scores = torch.zeros(1, 4, requires_grad=True)
    votes = torch.tensor([[[-5.0, 5.0], [-5.0, 5.0], [5.0, -5.0], [-5.0, 5.0]]])
    weights = scores.softmax(dim=1)
    joint = JointOutputs(Outputs(torch.zeros(1, 2), weights, torch.zeros(1, 4, 4)), votes, torch.zeros(1, 2))
    joint_loss(joint, torch.tensor([0]), NetworkConfig(grid=2)).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.argmin() == 2
    assert (scores.grad[0, [0, 1, 3]] > 0).all()


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_best_weights_are_the_softmax_of_what_the_regions_tell(temperature: float) -> None:
    """Gradient descent on the joint loss must end at softmax(-CE / tau); without tau it never would."""
    config = NetworkConfig(grid=2, lambda_local=1.0, weight_temperature=temperature)
    votes = torch.tensor([[[3.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]])
    scores = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([scores], 0.05)
    for _ in range(400):
        outputs = Outputs(torch.zeros(1, 2), scores.softmax(dim=1), torch.zeros(1, 4, 4))
        loss = joint_loss(JointOutputs(outputs, votes, torch.zeros(1, 2)), torch.tensor([0]), config)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    told = votes.log_softmax(dim=2)[:, :, 0]
    torch.testing.assert_close(scores.softmax(dim=1), (told / temperature).softmax(dim=1), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("local_channels", "local"), [(0, False), (3, True)])
def test_what_a_region_tells_is_its_own(local_channels: int, local: bool) -> None:
    """Its own answer must not change with what is far from it, and the weights of the regions must."""
    config = NetworkConfig(
        image_size=48,
        out_stride=4,
        widths=(6, 8, 8),
        blocks=(1, 1, 1),
        channels=6,
        local_channels=local_channels,
    )
    network = LNLAttenNet(config).eval()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # those that end a residual block begin as 0
            torch.nn.init.ones_(norm.weight)
    image = torch.randn(1, 3, 48, 48)
    other = image.clone()
    other[:, :, 36:, 36:] = 0
    with torch.inference_mode():
        told, told_other = network.joint(image), network.joint(other)
    assert told.local_logits[0, 0].allclose(told_other.local_logits[0, 0]) is local
    assert not told.local_logits[0, 15].allclose(told_other.local_logits[0, 15])
    assert not told.outputs.region_weights.equal(told_other.outputs.region_weights)


def test_evidence_multiplies_what_the_whole_face_expects() -> None:
    evidence = LocalEvidence(NetworkConfig(grid=2, local_features=3))
    with torch.no_grad():
        evidence.weight.normal_()
        evidence.bias.normal_()
    local = torch.randn(5, 4, 3)
    expected = torch.softmax(torch.randn(5, 4) * 3, dim=1)
    odds = expected * torch.exp((local * evidence.weight).sum(2) + evidence.bias)
    torch.testing.assert_close(evidence(expected, local), odds / odds.sum(1, keepdim=True))
    certain = evidence(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.zeros(1, 4, 3))
    torch.testing.assert_close(certain, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
