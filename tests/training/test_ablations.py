"""Every ablation takes out exactly what it names, trains, and keeps the network's interface."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.training._ablations import ABLATIONS

CONFIG = NetworkConfig(
    image_size=32, widths=(6, 8), channels=8, heads=2, local_features=5, affinity_features=4
)
OWN_EVIDENCE = replace(CONFIG, local_channels=3, weight_temperature=0.1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def build(name: str, config: NetworkConfig = CONFIG) -> LNLAttenNet:
    torch.manual_seed(0)
    network = ABLATIONS[name](config)
    return network.eval()  # type: ignore[return-value]


@pytest.mark.parametrize("config", [CONFIG, OWN_EVIDENCE], ids=["whole face", "own evidence"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_has_the_interface_of_the_network_and_learns(
    name: str, config: NetworkConfig, images: torch.Tensor
) -> None:
    network = build(name, config).train()
    targets = torch.arange(6) % 2
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        joint = network.joint(images)
        loss = joint_loss(joint, targets, network.config)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    outputs = network(images)
    assert outputs.logits.shape == (6, 7)
    assert outputs.region_affinity.shape == (6, 16, 16)
    torch.testing.assert_close(outputs.region_weights.sum(1), torch.ones(6))
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize("config", [CONFIG, OWN_EVIDENCE], ids=["whole face", "own evidence"])
@pytest.mark.parametrize(
    ("name", "uniform"),
    [("full network", False), ("no non-local weights", True), ("no feedback", False), ("plain U-Net", True)],
)
def test_only_what_lacks_the_nonlocal_network_weighs_regions_equally(
    name: str, uniform: bool, config: NetworkConfig, images: torch.Tensor
) -> None:
    network = build(name, config)
    if not uniform:
        with torch.no_grad():
            network.nonlocal_attention.score.weight.mul_(50)
    weights = network(images).region_weights
    assert bool((weights - 1 / 16).abs().max() < 1e-6) is uniform


def test_equal_weights_give_what_the_network_gives_when_its_weights_are_equal(images: torch.Tensor) -> None:
    ablated, full = build("no non-local weights"), build("full network")
    full.load_state_dict(ablated.state_dict())
    with torch.no_grad():
        full.nonlocal_attention.score.weight.zero_()
    for one, other in zip(ablated(images), full(images), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_mean_pooling_gives_what_attention_without_a_query_gives(images: torch.Tensor) -> None:
    ablated, full = build("no local attention"), build("full network")
    full.load_state_dict(ablated.state_dict())
    with torch.no_grad():
        full.local_networks.query.zero_()
    torch.testing.assert_close(ablated(images).logits, full(images).logits, rtol=1e-4, atol=1e-5)


def test_without_feedback_the_weights_do_not_scale_the_regions(images: torch.Tensor) -> None:
    network = build("no feedback")
    local = torch.randn(2, 16, 5)
    weights = torch.softmax(torch.randn(2, 16), dim=1)
    torch.testing.assert_close(network.feedback(weights, local), local / 16)


def test_without_the_joint_loss_the_local_heads_get_no_gradient(images: torch.Tensor) -> None:
    network = build("no joint loss").train()
    joint_loss(network.joint(images), torch.zeros(6, dtype=torch.long), network.config).backward()  # type: ignore[no-untyped-call]
    gradient = network.local_heads.weight.grad
    assert gradient is None or not gradient.any()
