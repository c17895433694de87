"""The non-local attention network: it looks at the whole face and gives each region a global weight.

Sources: Shi et al. 2024 (see ``local_networks``); Wang et al., "Non-local Neural Networks", CVPR 2018.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnlattennet.model.config import NetworkConfig


class NonlocalOutputs(NamedTuple):
    """What the whole face says about its regions.

    Attributes:
        weights: w [B, K]; non-negative, sums to 1 over the regions.
        affinity: A [B, K, K]; row k is how much region k looks at every region, each row sums to 1.
        context: sum_k w_k c_k [B, d].
    """

    weights: Tensor
    affinity: Tensor
    context: Tensor


class NonlocalAttention(nn.Module):
    """Region means m [B, K, C] -> global region weights, affinity and context."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, width = config.channels, config.affinity_features
        self.position = nn.Parameter(torch.randn(config.regions, channels) * 0.02)
        self.query = nn.Linear(channels, width, bias=False)
        # A key bias would add the same number to a whole row of scores, which softmax removes.
        self.key = nn.Linear(channels, width, bias=False)
        self.value = nn.Linear(channels, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, mean: Tensor) -> NonlocalOutputs:
        """Let every region look at all regions, then weigh them."""
        tokens = mean + self.position
        scores = self.query(tokens) @ self.key(tokens).transpose(1, 2)
        affinity = (scores / math.sqrt(self.query.out_features)).softmax(dim=-1)  # (B, K, K)
        context = affinity @ self.value(tokens)  # (B, K, d)
        weights = self.score(F.relu(context)).squeeze(-1).softmax(dim=-1)  # (B, K)
        return NonlocalOutputs(weights, affinity, (weights.unsqueeze(-1) * context).sum(dim=1))
