"""Reference of the ops in plain torch: the compiled kernels must equal it, and it is the fallback.

Eager torch, torch.export and ONNX all take the forward passes as they are: only reshapes, matrix products,
softmax. Everything is computed in float32 (float64 for float64 features).

Source of the non-local attention: Wang et al., "Non-local Neural Networks", CVPR 2018; the equations are in
docs/reference/network.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.kernels._checks import (
    check_nonlocal_attention,
    check_parameters,
    check_region_attention,
    check_region_gradients,
)


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
    grad_attention = grad_pooled @ regions
    grad_attention = grad_attention - (grad_attention * attention).sum(dim=-1, keepdim=True)
    grad_scores = attention * grad_attention / math.sqrt(channels)
    grad_regions = grad_pooled.mT @ attention + query.to(type_).mT @ grad_scores
    grad_regions = grad_regions + grad_mean.unsqueeze(-1) / regions.shape[-1]
    grad_query = (grad_scores @ regions.mT).sum(dim=0)
    grad_features = join_regions(grad_regions, grid, height, width).to(features.dtype)
    return grad_features.contiguous(memory_format=gradient_layout(features)), grad_query.to(query.dtype)


def nonlocal_attention(mean: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Attend from every region to all regions, then weigh the regions.

    Args:
        mean: m [B, K, C].
        parameters: position [K, C]; query, key and value weights [d, C]; value bias [d]; score weight [d];
            all of the means' type or float32.

    Returns:
        Weights w [B, K], affinity A [B, K, K] and context sum_k w_k c_k [B, d], of the parameters' type.

    Raises:
        ValueError: an argument breaks a rule.
    """
    check_nonlocal_attention(mean, parameters)
    *_, affinity, contexts, weights = _nonlocal_forward(mean, *parameters)
    context, type_ = (weights.unsqueeze(-1) * contexts).sum(dim=1), parameters[0].dtype
    return weights.to(type_), affinity.to(type_), context.to(type_)


def nonlocal_attention_backward(
    gradients: Sequence[Tensor], mean: Tensor, *parameters: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of ``mean`` and of every learned tensor, each in its own type.

    The forward pass is small and computed anew: its outputs may have been rounded to a half type, and what is
    left of a softmax then no longer sums to 1.

    Args:
        gradients: those of the weights, the affinity and the context.
        mean: m [B, K, C].
        parameters: as in ``nonlocal_attention``.
    """
    tokens, queries, keys, values, affinity, contexts, weights = _nonlocal_forward(mean, *parameters)
    _, query_weight, key_weight, value_weight, _, score_weight = (
        tensor.to(tokens.dtype) for tensor in parameters
    )
    grad_weights, grad_affinity, grad_context = (tensor.to(tokens.dtype) for tensor in gradients)
    grad_weights = grad_weights + (contexts @ grad_context.unsqueeze(-1)).squeeze(-1)
    grad_scores = _softmax_gradient(weights, grad_weights)
    grad_contexts = weights.unsqueeze(-1) * grad_context.unsqueeze(1)
    grad_contexts = grad_contexts + grad_scores.unsqueeze(-1) * score_weight * (contexts > 0)
    grad_products = _softmax_gradient(affinity, grad_affinity + grad_contexts @ values.mT)
    grad_products = grad_products / math.sqrt(values.shape[-1])
    grad_queries, grad_keys = grad_products @ keys, grad_products.mT @ queries
    grad_values = affinity.mT @ grad_contexts
    grad_tokens = grad_queries @ query_weight + grad_keys @ key_weight + grad_values @ value_weight
    results = (
        grad_tokens,
        grad_tokens.sum(dim=0),
        _weight_gradient(grad_queries, tokens),
        _weight_gradient(grad_keys, tokens),
        _weight_gradient(grad_values, tokens),
        grad_values.sum(dim=(0, 1)),
        (grad_scores.unsqueeze(-1) * F.relu(contexts)).sum(dim=(0, 1)),
    )
    return tuple(grad.to(tensor.dtype) for grad, tensor in zip(results, (mean, *parameters), strict=True))


def local_nonlocal_attention(
    features: Tensor, query: Tensor, grid: int, *parameters: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the outputs of ``region_attention``, and of ``nonlocal_attention`` on its means.

    Raises:
        ValueError: an argument breaks a rule.
    """
    pooled, mean = region_attention(features, query, grid)
    check_parameters(parameters, "features", features, grid * grid, features.shape[1])
    return pooled, mean, *nonlocal_attention(mean, *parameters)


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


def _nonlocal_forward(mean: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    """Return tokens [B, K, C], queries, keys, values [B, K, d], affinity, contexts c [B, K, d] and weights.

    Half types are computed in float32.
    """
    type_ = _accumulator(mean)
    position, query, key, value, bias, score = (tensor.to(type_) for tensor in parameters)
    tokens = mean.to(type_) + position
    queries, keys, values = F.linear(tokens, query), F.linear(tokens, key), F.linear(tokens, value, bias)
    affinity = (queries @ keys.mT / math.sqrt(len(score))).softmax(dim=-1)
    contexts = affinity @ values
    weights = F.linear(F.relu(contexts), score.unsqueeze(0)).squeeze(-1).softmax(dim=-1)
    return tokens, queries, keys, values, affinity, contexts, weights


def _softmax_gradient(weights: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of the scores from the gradient of their softmax, over the last dimension."""
    return weights * (gradient - (weights * gradient).sum(dim=-1, keepdim=True))


def _weight_gradient(grad_outputs: Tensor, inputs: Tensor) -> Tensor:
    """Gradient [d, C] of a linear layer's weight, summed over the batch and the regions."""
    return grad_outputs.flatten(0, 1).mT @ inputs.flatten(0, 1)
