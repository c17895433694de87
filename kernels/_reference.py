"""The ops in plain torch operations: what every compiled kernel must equal, and what runs where none can.

Eager torch, torch.export and ONNX all take the forward passes as they stand: only reshapes, matrix products,
softmax. Everything is computed in float32 (float64 for float64 features).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lnlattennet.kernels._checks import check_region_attention, check_region_gradients, check_tail
from lnlattennet.kernels._nonlocal_reference import nonlocal_attention


def split_regions(features: Tensor, grid: int) -> Tensor:
    """Cut [B, C, H, W] into a grid x grid table of regions: [B, K, C, P], regions and positions row-major."""
    channels, height, width = features.shape[1:]
    rows, columns = height // grid, width // grid
    cells = features.reshape(-1, channels, grid, rows, grid, columns)
    # (B, C, g, h, g, w) -> (B, g, g, C, h, w)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(-1, grid * grid, channels, rows * columns)


def join_regions(regions: Tensor, grid: int, height: int, width: int) -> Tensor:
    """Put [B, K, C, P] back together: [B, C, H, W]."""
    channels = regions.shape[2]
    cells = regions.reshape(-1, grid, grid, channels, height // grid, width // grid)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)


def region_attention(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Pool every region of a feature map by its own attention, and by its mean.

    Args:
        features: F [B, C, H, W]; H and W divisible by ``grid``.
        query: q [K, heads, C], K = grid * grid; of the features' type or float32.
        grid: regions per side.

    Returns:
        ``pooled`` [B, K, heads, C] = sum_p softmax_p(<q, F_p> / sqrt(C)) F_p, and ``mean`` [B, K, C], both of
        the features' type.

    Raises:
        ValueError: an argument breaks a rule.
    """
    check_region_attention(features, query, grid)
    regions = split_regions(features, grid).to(_accumulator(features))  # (B, K, C, P)
    pooled = _attention(regions, query) @ regions.mT
    return pooled.to(features.dtype), regions.mean(dim=-1).to(features.dtype)


def region_attention_backward(
    grad_pooled: Tensor, grad_mean: Tensor, features: Tensor, query: Tensor, grid: int
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``features`` (in its memory layout if that is dense) and of ``query``.

    Args:
        grad_pooled: gradient of ``pooled`` [B, K, heads, C].
        grad_mean: gradient of ``mean`` [B, K, C].
        features: F [B, C, H, W].
        query: q [K, heads, C].
        grid: regions per side.

    Raises:
        ValueError: an argument breaks a rule.
    """
    check_region_attention(features, query, grid)
    check_region_gradients(grad_pooled, grad_mean, features, query)
    channels, height, width = features.shape[1:]
    type_ = _accumulator(features)
    regions = split_regions(features, grid).to(type_)
    grad_pooled, grad_mean = grad_pooled.to(type_), grad_mean.to(type_)
    attention = _attention(regions, query)  # (B, K, heads, P)
    of_attention = grad_pooled @ regions
    of_attention = of_attention - (of_attention * attention).sum(dim=-1, keepdim=True)
    of_scores = attention * of_attention / math.sqrt(channels)
    grad_regions = grad_pooled.mT @ attention + query.to(type_).mT @ of_scores
    grad_regions = grad_regions + grad_mean.unsqueeze(-1) / regions.shape[-1]
    grad_query = (of_scores @ regions.mT).sum(dim=0)
    grad_features = join_regions(grad_regions, grid, height, width).to(features.dtype)
    return grad_features.contiguous(memory_format=gradient_layout(features)), grad_query.to(query.dtype)


def local_nonlocal_attention(
    features: Tensor, query: Tensor, grid: int, *tail: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the outputs of ``region_attention``, and of ``nonlocal_attention`` on its means.

    Raises:
        ValueError: an argument breaks a rule.
    """
    pooled, mean = region_attention(features, query, grid)
    check_tail(tail, "features", features, grid * grid, features.shape[1])
    return pooled, mean, *nonlocal_attention(mean, *tail)


def gradient_layout(features: Tensor) -> torch.memory_format:
    """Return the memory layout of the gradient of ``features``: theirs if they are dense, else contiguous."""
    if not features.is_contiguous() and features.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def _attention(regions: Tensor, query: Tensor) -> Tensor:
    """softmax_p(<q, F_p> / sqrt(C)) [B, K, heads, P] of regions [B, K, C, P]."""
    scores = query.to(regions.dtype) @ regions / math.sqrt(regions.shape[2])
    return scores.softmax(dim=-1)


def _accumulator(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)
