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
    """Regions l [B, K, heads, C], pooled by ``region_query`` -> local features u [B, K, D].

    With ``local_channels`` only these of the C channels count: what a region tells is then its own.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.channels = config.local_channels or config.channels
        self.ignored_channels = config.channels - self.channels
        pooled = config.heads * self.channels
        # Scaled like a transformer's query, so attention starts soft but not uniform.
        self.query = nn.Parameter(torch.randn(config.regions, config.heads, self.channels))
        self.weight = nn.Parameter(_uniform(config.regions, pooled, config.local_features, fan_in=pooled))
        self.bias = nn.Parameter(torch.zeros(config.regions, config.local_features))

    def region_query(self) -> Tensor:
        """Return the queries q [K, heads, C] of the local attention."""
        return F.pad(self.query, (0, self.ignored_channels)) if self.ignored_channels else self.query

    def forward(self, pooled: Tensor) -> Tensor:
        """Apply each region's own layer."""
        if self.ignored_channels:
            pooled = pooled[..., : self.channels]
        return F.relu(batched_linear(pooled.flatten(2), self.weight) + self.bias)


class LocalEvidence(nn.Module):
    """Region weights from what the whole face expects and from what each region's own network has found."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        # Zeros: at first a region tells as much as its place in the whole face says.
        self.weight = nn.Parameter(torch.zeros(config.regions, config.local_features))
        self.bias = nn.Parameter(torch.zeros(config.regions))

    def forward(self, expected: Tensor, local: Tensor) -> Tensor:
        """Return softmax_k( log expected_k + evidence_k ), [B, K].

        Args:
            expected: weights from the whole face, [B, K].
            local: local features u, [B, K, D].
        """
        # The sum keeps its axis: OpenVINO's CPU plugin (2026.4.1) adds what follows a sum without its axis to
        # the wrong places where there are several faces.
        evidence = (local * self.weight).sum(dim=2, keepdim=True).squeeze(2) + self.bias
        # A weight may underflow to 0, whose logarithm is not finite.
        prior = expected.clamp_min(torch.finfo(expected.dtype).tiny).log()
        return torch.softmax(prior + evidence, dim=1)


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
