"""The non-local tail in plain torch operations, and its gradient as a formula.

Source: Wang et al., "Non-local Neural Networks", CVPR 2018; the equations are docs/reference/network.md's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.kernels._checks import check_nonlocal_attention


def nonlocal_attention(mean: Tensor, *tail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Let every region look at all regions, then weigh them.

    Args:
        mean: m [B, K, C].
        tail: position [K, C]; query, key and value weights [d, C]; value bias [d]; score weight [d]; all of
            the means' type or float32.

    Returns:
        Weights w [B, K], affinity A [B, K, K] and context sum_k w_k c_k [B, d], of the parameters' type.

    Raises:
        ValueError: an argument breaks a rule.
    """
    check_nonlocal_attention(mean, tail)
    type_, forward = tail[0].dtype, _Forward.of(mean, *tail)
    context = (forward.weights.unsqueeze(-1) * forward.contexts).sum(dim=1)
    return forward.weights.to(type_), forward.affinity.to(type_), context.to(type_)


def nonlocal_attention_backward(
    gradients: Sequence[Tensor], mean: Tensor, *tail: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of ``mean`` and of every tensor of the tail, each in its own type.

    The forward pass is small and computed anew: its outputs may have been rounded to a half type, and what is
    left of a softmax then no longer sums to 1.

    Args:
        gradients: those of the weights, the affinity and the context.
        mean: m [B, K, C].
        tail: as in ``nonlocal_attention``.
    """
    tokens, queries, keys, values, affinity, contexts, weights = _Forward.of(mean, *tail)
    _, query_weight, key_weight, value_weight, _, score_weight = (one.to(tokens.dtype) for one in tail)
    grad_weights, grad_affinity, grad_context = (one.to(tokens.dtype) for one in gradients)
    of_weights = grad_weights + (contexts @ grad_context.unsqueeze(-1)).squeeze(-1)
    of_scores = _softmax_gradient(weights, of_weights)
    of_contexts = weights.unsqueeze(-1) * grad_context.unsqueeze(1)
    of_contexts = of_contexts + of_scores.unsqueeze(-1) * score_weight * (contexts > 0)
    of_products = _softmax_gradient(affinity, grad_affinity + of_contexts @ values.mT)
    of_products = of_products / math.sqrt(values.shape[-1])
    of_queries, of_keys = of_products @ keys, of_products.mT @ queries
    of_values = affinity.mT @ of_contexts
    of_tokens = of_queries @ query_weight + of_keys @ key_weight + of_values @ value_weight
    results = (
        of_tokens,
        of_tokens.sum(dim=0),
        _weight_gradient(of_queries, tokens),
        _weight_gradient(of_keys, tokens),
        _weight_gradient(of_values, tokens),
        of_values.sum(dim=(0, 1)),
        (of_scores.unsqueeze(-1) * F.relu(contexts)).sum(dim=(0, 1)),
    )
    return tuple(grad.to(of.dtype) for grad, of in zip(results, (mean, *tail), strict=True))


class _Forward(NamedTuple):
    """The forward pass, in float32 for half types."""

    tokens: Tensor  # t = m + e, (B, K, C)
    queries: Tensor  # (B, K, d), like keys and values
    keys: Tensor
    values: Tensor
    affinity: Tensor  # (B, K, K)
    contexts: Tensor  # c, (B, K, d)
    weights: Tensor  # (B, K)

    @classmethod
    def of(cls, mean: Tensor, *tail: Tensor) -> _Forward:
        type_ = torch.promote_types(mean.dtype, torch.float32)
        position, query, key, value, bias, score = (tensor.to(type_) for tensor in tail)
        tokens = mean.to(type_) + position
        queries, keys, values = F.linear(tokens, query), F.linear(tokens, key), F.linear(tokens, value, bias)
        affinity = (queries @ keys.mT / math.sqrt(len(score))).softmax(dim=-1)
        contexts = affinity @ values
        weights = F.linear(F.relu(contexts), score.unsqueeze(0)).squeeze(-1).softmax(dim=-1)
        return cls(tokens, queries, keys, values, affinity, contexts, weights)


def _softmax_gradient(weights: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of the scores from the gradient of their softmax, over the last dimension."""
    return weights * (gradient - (weights * gradient).sum(dim=-1, keepdim=True))


def _weight_gradient(of_outputs: Tensor, inputs: Tensor) -> Tensor:
    """Gradient [d, C] of a linear layer's weight, summed over the batch and the regions."""
    return of_outputs.flatten(0, 1).mT @ inputs.flatten(0, 1)
