"""The ensemble of local networks: one per region, with its own attention and its own weights.

Source: Shi et al., "Adaptively Enhancing Facial Expression Crucial Regions via a Local Non-local Joint
Network", MIR 21(2), 2024; the equations are our reading of its abstract (docs/reference/network.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnlattennet.model._config import NetworkConfig


class LocalNetworks(nn.Module):
    """Pooled regions l [B, K, heads, C] -> local features u [B, K, D]; ``query`` says how they are pooled."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        pooled = config.heads * config.channels
        # Scaled like a transformer's query, so attention starts soft but not uniform.
        self.query = nn.Parameter(torch.randn(config.regions, config.heads, config.channels))
        self.weight = nn.Parameter(_uniform(config.regions, pooled, config.local_features, fan_in=pooled))
        self.bias = nn.Parameter(torch.zeros(config.regions, config.local_features))

    def forward(self, pooled: Tensor) -> Tensor:
        """Apply each region's own layer."""
        return F.relu(batched_linear(pooled.flatten(2), self.weight) + self.bias)


class LocalHeads(nn.Module):
    """Auxiliary heads for training: local features u [B, K, D] -> logits y [B, K, classes] of each region."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        features = config.local_features
        self.weight = nn.Parameter(_uniform(config.regions, features, config.classes, fan_in=features))

    def forward(self, local: Tensor) -> Tensor:
        """Return the logits of every region."""
        return batched_linear(local, self.weight)


def batched_linear(inputs: Tensor, weight: Tensor) -> Tensor:
    """Apply K unshared layers: [B, K, in] x [K, in, out] -> [B, K, out], one batched matrix product.

    Never a grouped convolution: TensorRT 11.2 cannot build those in FP16.
    """
    return torch.bmm(inputs.transpose(0, 1), weight).transpose(0, 1)


def _uniform(*shape: int, fan_in: int) -> Tensor:
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(*shape).uniform_(-bound, bound)
