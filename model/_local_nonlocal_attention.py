"""Attention of the head: each region's local attention, and the non-local one that weighs the regions.

Sources: Shi et al. 2024 (see ``_local_networks``); Wang et al., "Non-local Neural Networks", CVPR 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lnlattennet.kernels import local_nonlocal_attention
from lnlattennet.model._config import NetworkConfig


class NonlocalOutputs(NamedTuple):
    """Weights of the regions, derived from the whole face.

    Attributes:
        weights: e [B, K]; non-negative, sums to 1 over the regions. They are the region weights w, unless the
            regions' own evidence is added (``LocalEvidence``).
        affinity: A [B, K, K]; row k is how much region k attends to every region, each row sums to 1.
        context: sum_k e_k c_k [B, d].
    """

    weights: Tensor
    affinity: Tensor
    context: Tensor


class LocalNonlocalAttention(nn.Module):
    """Features F [B, C, H, W] -> the local networks' pooled regions l [B, K, heads, C], and NonlocalOutputs.

    One op gives both, and so reads the features, by far the largest tensor of the head, once.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, width = config.channels, config.affinity_features
        self.grid = config.grid
        self.position = nn.Parameter(torch.randn(config.regions, channels) * 0.02)
        self.query = nn.Linear(channels, width, bias=False)
        # A key bias would add the same number to a whole row of scores, which softmax removes.
        self.key = nn.Linear(channels, width, bias=False)
        self.value = nn.Linear(channels, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, features: Tensor, local_query: Tensor) -> tuple[Tensor, NonlocalOutputs]:
        """Pool every region by its ``local_query`` [K, heads, C], and weigh the regions by their means."""
        pooled, _, *whole_face = self.attend(features, local_query)
        return pooled, NonlocalOutputs(*whole_face)

    def attend(self, features: Tensor, local_query: Tensor) -> tuple[Tensor, ...]:
        """Return pooled [B, K, heads, C], mean [B, K, C], and the tensors of NonlocalOutputs."""
        return local_nonlocal_attention(
            features,
            local_query,
            self.grid,
            self.position,
            self.query.weight,
            self.key.weight,
            self.value.weight,
            self.value.bias,
            self.score.weight.flatten(),
        )
