"""FLOP formulas of the ops, from the shapes of their arguments: a multiply-add is two operations.

As everywhere in torch's FlopCounterMode, only matrix products count.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

Shape = Sequence[int]


def region_attention(features: Shape, query: Shape, grid: int, **_: Any) -> int:
    """Count scores and weighted sum: every position meets every head of its region."""
    return 2 * 2 * prod(features) * query[1]


def region_attention_backward(
    grad_pooled: Shape, grad_mean: Shape, features: Shape, query: Shape, grid: int, **_: Any
) -> int:
    """Count scores, gradient of the attention, two terms of the features' gradient, the query's gradient."""
    return 5 * 2 * prod(features) * query[1]


def nonlocal_attention(mean: Shape, position: Shape, query_weight: Shape, *_: Any, **__: Any) -> int:
    """Count queries, keys, values; affinity and its product with the values; scores."""
    batch, regions, channels = mean
    width = query_weight[0]
    return 2 * batch * regions * (3 * channels * width + 2 * regions * width + width)


def local_nonlocal_attention(features: Shape, query: Shape, grid: int, *parameters: Shape, **_: Any) -> int:
    """Count both of its parts."""
    mean = (features[0], query[0], query[2])
    return region_attention(features, query, grid) + nonlocal_attention(mean, *parameters)
