"""The network with its compiled kernels, with the reference, and compiled by torch.

tests/runtimes/torch has it as an AOTInductor package.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lnlattennet.kernels import _reference as reference
from lnlattennet.model import _local_nonlocal_attention as nonlocal_attention
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import JointOutputs, LNLAttenNet

SMALL = NetworkConfig(
    image_size=48, widths=(8, 12), channels=8, heads=2, local_features=6, affinity_features=4
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(5)


def flat(joint: JointOutputs) -> list[Tensor]:
    return [*joint.outputs, joint.local_logits, joint.nonlocal_logits]


def test_the_demo_network_answers_alike_with_kernels_and_reference(
    demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_checkpoint(demo_checkpoint).network()
    images = torch.randn(3, 3, 112, 112)
    with torch.inference_mode():
        compiled = flat(network.joint(images))
        monkeypatch.setattr(
            nonlocal_attention, "local_nonlocal_attention", reference.local_nonlocal_attention
        )
        expected = flat(network.joint(images))
    assert expected[0].std() > 0.1
    torch.testing.assert_close(compiled, expected, atol=1e-5, rtol=0)


def losses_of_a_short_training() -> list[float]:
    """Eight steps on one batch, from the same start every time."""
    torch.manual_seed(5)
    network = LNLAttenNet(SMALL).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9)
    images, targets = torch.randn(14, 3, 48, 48), torch.arange(14) % 7
    losses = []
    for _ in range(8):
        loss = joint_loss(network.joint(images), targets, SMALL)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_short_training_goes_alike_with_kernels_and_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = losses_of_a_short_training()
    monkeypatch.setattr(nonlocal_attention, "local_nonlocal_attention", reference.local_nonlocal_attention)
    assert compiled == pytest.approx(losses_of_a_short_training(), rel=1e-4)
    assert compiled[-1] < compiled[0]


def test_under_autocast_the_weights_of_the_regions_stay_float32() -> None:
    network, images = LNLAttenNet(SMALL).eval(), torch.randn(4, 3, 48, 48)
    expected = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(images)
        assert network.unet(images).dtype is torch.bfloat16
    assert mixed.region_weights.dtype is mixed.region_affinity.dtype is torch.float32
    torch.testing.assert_close(mixed.region_weights, expected.region_weights, atol=2e-2, rtol=0)
    torch.testing.assert_close(mixed.region_weights.sum(1), torch.ones(4))


@pytest.mark.slow
# torch's compiler calls what torch itself has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_compile_takes_the_whole_network_and_any_batch() -> None:
    network = LNLAttenNet(SMALL).eval()
    compiled = torch.compile(network, fullgraph=True, dynamic=True)
    with torch.inference_mode():
        for batch in (2, 5):
            images = torch.randn(batch, 3, 48, 48)
            torch.testing.assert_close(tuple(compiled(images)), tuple(network(images)), atol=1e-5, rtol=1e-4)
