"""The ops' equations (docs/reference/network.md) as plain float64 loops, vectorized over channels only.

Independent of ``lnlattennet.kernels``: nothing here is shared with what it is compared with. Shapes as in the
equations: features [B, C, H, W], query [K, heads, C], pooled [B, K, heads, C], mean [B, K, C].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class NonlocalParameters(NamedTuple):
    """The learned tensors of the non-local part: position e [K, C], Q, K, V [d, C], V's bias [d], v [d]."""

    position: Array
    query_weight: Array
    key_weight: Array
    value_weight: Array
    value_bias: Array
    score_weight: Array


class NonlocalOutputs(NamedTuple):
    """w [B, K], A [B, K, K] and sum_k w_k c_k [B, d]."""

    weights: Array
    affinity: Array
    context: Array


class _Image(NamedTuple):
    """The non-local attention of one image: t [K, C]; Q t, K t, V t + b and c [K, d]; A [K, K]; w [K]."""

    tokens: Array
    queries: Array
    keys: Array
    values: Array
    contexts: Array
    affinity: Array
    weights: Array


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def softmax_gradient(weights: Array, gradient: Array) -> Array:
    """Gradient of the scores from the gradient of their softmax."""
    return np.asarray(weights * (gradient - weights @ gradient))


def positions_of(region: int, grid: int, height: int, width: int) -> list[tuple[int, int]]:
    """(row, column) of every position of a region, row-major."""
    rows, columns = height // grid, width // grid
    top, left = (region // grid) * rows, (region % grid) * columns
    return [(y, x) for y in range(top, top + rows) for x in range(left, left + columns)]


def region_attention(features: Array, query: Array, grid: int) -> tuple[Array, Array]:
    """a = softmax_p(<q, F_p> / sqrt(C)), l = sum_p a_p F_p, and m = mean_p F_p."""
    batch, channels, height, width = features.shape
    regions, heads, _ = query.shape
    pooled = np.zeros((batch, regions, heads, channels))
    mean = np.zeros((batch, regions, channels))
    for b in range(batch):
        for k in range(regions):
            cell = [features[b, :, y, x] for y, x in positions_of(k, grid, height, width)]
            for vector in cell:
                mean[b, k] += vector / len(cell)
            for h in range(heads):
                weights = softmax(np.array([query[k, h] @ vector for vector in cell]) / math.sqrt(channels))
                for weight, vector in zip(weights, cell, strict=True):
                    pooled[b, k, h] += weight * vector
    return pooled, mean


def region_attention_backward(
    grad_pooled: Array, grad_mean: Array, features: Array, query: Array, grid: int
) -> tuple[Array, Array]:
    """Gradients of ``features`` and ``query`` (summed over the batch)."""
    batch, channels, height, width = features.shape
    regions, heads, _ = query.shape
    grad_features, grad_query = np.zeros_like(features), np.zeros_like(query)
    root = math.sqrt(channels)
    for b in range(batch):
        for k in range(regions):
            places = positions_of(k, grid, height, width)
            for y, x in places:
                grad_features[b, :, y, x] += grad_mean[b, k] / len(places)
            for h in range(heads):
                gradient = grad_pooled[b, k, h]
                scores = np.array([query[k, h] @ features[b, :, y, x] for y, x in places]) / root
                weights = softmax(scores)
                of_weights = np.array([gradient @ features[b, :, y, x] for y, x in places])
                of_scores = softmax_gradient(weights, of_weights)
                for (y, x), weight, slope in zip(places, weights, of_scores, strict=True):
                    grad_features[b, :, y, x] += weight * gradient + slope * query[k, h] / root
                    grad_query[k, h] += slope * features[b, :, y, x] / root
    return grad_features, grad_query


def _image_of(mean: Array, parameters: NonlocalParameters) -> _Image:
    """The forward pass of one image's means [K, C]."""
    width = len(parameters.score_weight)
    tokens = mean + parameters.position
    queries = np.array([parameters.query_weight @ token for token in tokens])
    keys = np.array([parameters.key_weight @ token for token in tokens])
    values = np.array([parameters.value_weight @ token + parameters.value_bias for token in tokens])
    affinity = np.array([softmax(np.array([q @ k for k in keys]) / math.sqrt(width)) for q in queries])
    contexts = np.array([sum(a * v for a, v in zip(row, values, strict=True)) for row in affinity])
    weights = softmax(np.array([parameters.score_weight @ np.maximum(c, 0) for c in contexts]))
    return _Image(tokens, queries, keys, values, contexts, affinity, weights)


def nonlocal_attention(mean: Array, parameters: NonlocalParameters) -> NonlocalOutputs:
    """A = softmax(Q t (K t)^T / sqrt(d)), c = A V t, w = softmax_k(v . relu(c_k)), with t = m + e."""
    batch, regions = mean.shape[:2]
    outputs = NonlocalOutputs(
        weights=np.zeros((batch, regions)),
        affinity=np.zeros((batch, regions, regions)),
        context=np.zeros((batch, len(parameters.score_weight))),
    )
    for b in range(batch):
        image = _image_of(mean[b], parameters)
        outputs.weights[b], outputs.affinity[b] = image.weights, image.affinity
        for weight, context in zip(image.weights, image.contexts, strict=True):
            outputs.context[b] += weight * context
    return outputs


def nonlocal_attention_backward(
    gradient: NonlocalOutputs, mean: Array, parameters: NonlocalParameters
) -> tuple[Array, NonlocalParameters]:
    """Gradients of ``mean`` and of every learned tensor (summed over the batch)."""
    grad_mean = np.zeros_like(mean)
    grads = NonlocalParameters(*(np.zeros_like(array) for array in parameters))
    for b in range(len(mean)):
        of_image = NonlocalOutputs(gradient.weights[b], gradient.affinity[b], gradient.context[b])
        grad_mean[b] = _add_image_gradient(grads, of_image, _image_of(mean[b], parameters), parameters)
    return grad_mean, grads


def _add_image_gradient(
    grads: NonlocalParameters, gradient: NonlocalOutputs, image: _Image, parameters: NonlocalParameters
) -> Array:
    """Add one image's gradients to ``grads``; returns that of its means [K, C]."""
    regions, root = range(len(image.weights)), math.sqrt(len(parameters.score_weight))
    of_weights = np.array([gradient.weights[k] + gradient.context @ image.contexts[k] for k in regions])
    of_scores = softmax_gradient(image.weights, of_weights)
    of_queries, of_keys, of_values = (np.zeros_like(image.values) for _ in range(3))
    for k in regions:
        grads.score_weight[:] += of_scores[k] * np.maximum(image.contexts[k], 0)
        of_context = image.weights[k] * gradient.context
        of_context = of_context + of_scores[k] * parameters.score_weight * (image.contexts[k] > 0)
        of_row = np.array([gradient.affinity[k, j] + of_context @ image.values[j] for j in regions])
        of_products = softmax_gradient(image.affinity[k], of_row) / root
        for j in regions:
            of_values[j] += image.affinity[k, j] * of_context
            of_queries[k] += of_products[j] * image.keys[j]
            of_keys[j] += of_products[j] * image.queries[k]
    of_tokens = np.zeros_like(image.tokens)
    for k, token in enumerate(image.tokens):
        grads.query_weight[:] += np.outer(of_queries[k], token)
        grads.key_weight[:] += np.outer(of_keys[k], token)
        grads.value_weight[:] += np.outer(of_values[k], token)
        grads.value_bias[:] += of_values[k]
        of_tokens[k] += of_queries[k] @ parameters.query_weight + of_keys[k] @ parameters.key_weight
        of_tokens[k] += of_values[k] @ parameters.value_weight
        grads.position[k] += of_tokens[k]
    return of_tokens
