"""Formulations of the per-region attention in plain torch, with which the fused op is compared.

All share one signature, so that a benchmark can time them in turn:

    region attention        (features, query, grid) -> (pooled, mean)
    and non-local attention (features, query, grid, *parameters) -> (pooled, mean, weights, affinity, context)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.kernels._reference import split_regions

Pooling = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
Joint = Callable[..., tuple[Tensor, ...]]


class NonlocalParameters(NamedTuple):
    """Parameters of the non-local attention, in the op's order."""

    position: Tensor  # [K, C]
    query_weight: Tensor  # [d, C]
    key_weight: Tensor  # [d, C]
    value_weight: Tensor  # [d, C]
    value_bias: Tensor  # [d]
    score_weight: Tensor  # [d]


def matmul_form(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Cut the map into regions, then two batched matrix products, in the features' own type."""
    regions = split_regions(features, grid)  # (B, K, C, P)
    scores = query @ regions / math.sqrt(features.shape[1])  # (B, K, heads, P)
    return scores.softmax(dim=-1) @ regions.mT, regions.mean(dim=-1)


def broadcast_form(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Multiply and sum over views of the map: nothing is copied, and a compiler can fuse all of it."""
    batch, channels, height, width = features.shape
    cells = features.view(batch, channels, grid, height // grid, grid, width // grid)
    # (K, heads, C) -> (heads, C, g, 1, g, 1)
    by_cell = query.view(grid, grid, -1, channels).permute(2, 3, 0, 1)[:, :, :, None, :, None]
    pooled = []
    for head in by_cell:
        scores = (cells * head).sum(dim=1, keepdim=True) / math.sqrt(channels)  # (B, 1, g, h, g, w)
        exponentials = (scores - scores.amax(dim=(3, 5), keepdim=True)).exp()
        attention = exponentials / exponentials.sum(dim=(3, 5), keepdim=True)
        pooled.append(_by_region((attention * cells).sum(dim=(3, 5))))
    return torch.stack(pooled, dim=2), _by_region(cells.mean(dim=(3, 5)))


def _by_region(per_cell: Tensor) -> Tensor:
    """[B, C, g, g] -> [B, K, C]."""
    return per_cell.flatten(2).transpose(1, 2)


def region_mask(features: Tensor, grid: int, heads: int) -> Tensor:
    """Return the mask of ``masked_attention``: 0 inside a query's region, else -inf; [K * heads + K, H * W].

    It is made once, ahead of time: from a boolean mask the kernels would make this one at every call.
    """
    height, width = features.shape[2:]
    rows = torch.arange(height) // (height // grid)
    columns = torch.arange(width) // (width // grid)
    region = (rows[:, None] * grid + columns).flatten()
    owner = torch.arange(grid * grid)
    sees = torch.cat([owner.repeat_interleave(heads), owner])[:, None] == region
    return torch.zeros(sees.shape).masked_fill(~sees, -math.inf).to(features)


def masked_attention(features: Tensor, query: Tensor, grid: int, *, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Call ``scaled_dot_product_attention`` once; every region's queries see their own region only.

    Keys and values are the map itself, [B, 1, H * W, C]: a view in channels_last, else one copy. A zero
    query attends evenly, so K of them give the means in the same call.
    """
    batch, channels, height, width = features.shape
    regions, heads, _ = query.shape
    positions = features.permute(0, 2, 3, 1).reshape(batch, 1, height * width, channels)
    queries = torch.cat([query.flatten(0, 1), query.new_zeros(regions, channels)])
    attended = F.scaled_dot_product_attention(
        queries.expand(batch, 1, -1, -1), positions, positions, attn_mask=mask
    ).squeeze(1)
    pooled = attended[:, : regions * heads].reshape(batch, regions, heads, channels)
    return pooled, attended[:, regions * heads :]


def nonlocal_attention(mean: Tensor, parameters: NonlocalParameters) -> tuple[Tensor, Tensor, Tensor]:
    """Map region means [B, K, C] to weights [B, K], affinity [B, K, K] and context [B, d]."""
    position, query_weight, key_weight, value_weight, value_bias, score_weight = parameters
    tokens = mean + position
    scores = F.linear(tokens, query_weight) @ F.linear(tokens, key_weight).transpose(1, 2)
    affinity = (scores / math.sqrt(query_weight.shape[0])).softmax(dim=-1)
    context = affinity @ F.linear(tokens, value_weight, value_bias)
    weights = (F.relu(context) @ score_weight).softmax(dim=-1)
    return weights, affinity, (weights.unsqueeze(-1) * context).sum(dim=1)


def with_nonlocal(pooling: Pooling) -> Joint:
    """Return a formulation of the pooling followed by the non-local attention."""

    def joint(features: Tensor, query: Tensor, grid: int, *parameters: Tensor) -> tuple[Tensor, ...]:
        pooled, mean = pooling(features, query, grid)
        return pooled, mean, *nonlocal_attention(mean, NonlocalParameters(*parameters))

    return joint
