"""Ablations: the network without one of its components, to measure what each contributes.

An ablation is trained and evaluated like the network itself; it is never exported, so none of this is in the
network's own configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._local_networks import LocalEvidence
from lnlattennet.model._local_nonlocal_attention import LocalNonlocalAttention, NonlocalOutputs
from lnlattennet.model._network import JointOutputs, LNLAttenNet, Outputs
from lnlattennet.model._unet import UNet


class _UniformWeights(LocalNonlocalAttention):
    """Every region weighs 1/K; the context is that of equally weighed regions."""

    def forward(self, features: Tensor, local_query: Tensor) -> tuple[Tensor, NonlocalOutputs]:
        pooled, mean, weights, affinity, _ = self.attend(features, local_query)
        contexts = affinity @ self.value(mean + self.position)
        uniform = torch.full_like(weights, 1 / weights.shape[1])
        return pooled, NonlocalOutputs(uniform, affinity, contexts.mean(dim=1))


class _NoEvidence(LocalEvidence):
    """The weights of the regions are those from the whole face."""

    def forward(self, expected: Tensor, local: Tensor) -> Tensor:
        return expected


class _MeanPooling(LocalNonlocalAttention):
    """A region is the mean of its positions, whatever its query."""

    def forward(self, features: Tensor, local_query: Tensor) -> tuple[Tensor, NonlocalOutputs]:
        pooled, mean, *whole_face = self.attend(features, local_query)
        return mean.unsqueeze(2).expand_as(pooled), NonlocalOutputs(*whole_face)


class _NoFeedback(LNLAttenNet):
    """Regions speak equally loud; their weights act on the context and the loss alone."""

    def feedback(self, weights: Tensor, local: Tensor) -> Tensor:
        return local / weights.shape[1]


class _PlainUNet(nn.Module):
    """The U-Net, global average pooling and one linear layer; its regions all weigh 1/K."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(config)
        self.classifier = nn.Linear(config.channels, config.classes)

    def forward(self, image: Tensor) -> Outputs:
        logits = self.classifier(self.unet(image).mean(dim=(2, 3)))
        regions = self.config.regions
        uniform = logits.new_full((len(logits), regions), 1 / regions)
        return Outputs(logits, uniform, uniform.unsqueeze(1).expand(-1, regions, -1))

    def joint(self, image: Tensor) -> JointOutputs:
        outputs = self(image)
        nothing = torch.zeros_like(outputs.logits)
        return JointOutputs(outputs, nothing.unsqueeze(1).expand(-1, self.config.regions, -1), nothing)


def _uniform_weights(config: NetworkConfig) -> LNLAttenNet:
    network = LNLAttenNet(config)
    network.nonlocal_attention = _UniformWeights(config)
    if config.local_channels:
        network.local_evidence = _NoEvidence(config)
    return network


def _mean_pooling(config: NetworkConfig) -> LNLAttenNet:
    network = LNLAttenNet(config)
    network.nonlocal_attention = _MeanPooling(config)
    return network


def _no_joint_loss(config: NetworkConfig) -> LNLAttenNet:
    return LNLAttenNet(replace(config, lambda_local=0.0, lambda_nonlocal=0.0))


def _plain(config: NetworkConfig) -> _PlainUNet:
    return _PlainUNet(replace(config, local_channels=0, lambda_local=0.0, lambda_nonlocal=0.0))


ABLATIONS: dict[str, Callable[[NetworkConfig], LNLAttenNet | _PlainUNet]] = {
    "full network": LNLAttenNet,
    "no non-local weights": _uniform_weights,
    "no local attention": _mean_pooling,
    "no feedback": _NoFeedback,
    "no joint loss": _no_joint_loss,
    "plain U-Net": _plain,
}
"""Name -> builder. A built network has ``config``, ``joint`` and ``forward`` like ``LNLAttenNet``."""
