"""Comparisons of one output with its expected value, sample by sample and in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Output = NDArray[np.float32]
"""One output of one call, [B, ...]."""

_Doubles = NDArray[np.float64]

_TIE = 0.01
"""Share of a weight or a probability that no precision tells apart: a rounding step is 0.4% in bf16 and
0.8% in int8."""

_LARGE = 32.0
"""Magnitude above which an absolute tolerance grows with a sample's largest value.

float32 rounds a sum by a share of what is summed: with logits of up to 2.6, 25, 250 and 2,500, ONNX Runtime
and OpenVINO were 5e-7 of the largest logit from the checkpoint, and torch itself 4e-7 in batches. The default
of 1e-4 is 3e-6 of 32.
"""


@dataclass(frozen=True)
class MetricValues:
    """One metric of one output for every sample of a call.

    Attributes:
        value: the metric [B].
        region: row-major index of the region at fault [B], if the metric locates one itself; meaningless for
            outputs without regions.
        allowed: limit of each value [B], where it differs from sample to sample.
    """

    value: _Doubles
    region: NDArray[np.int64] | None = None
    allowed: _Doubles | None = None


def max_abs(output: Output, expected: Output, atol: float = 0.0, rtol: float = 0.0) -> MetricValues:
    """Return the difference at the element that exceeds its tolerance ``atol + rtol * |expected|`` most.

    ``atol`` is for values of up to ``_LARGE``.
    """
    difference, magnitude = _flat(np.abs(_double(output) - expected)), _flat(np.abs(_double(expected)))
    scale = np.maximum(magnitude.max(axis=1, keepdims=True) / _LARGE, 1.0)
    allowed = atol * scale + rtol * magnitude
    worst = (difference - allowed).argmax(axis=1)[:, None]
    value, limit = (np.take_along_axis(array, worst, axis=1)[:, 0] for array in (difference, allowed))
    return MetricValues(value, _region_of(worst[:, 0], output), limit)


def cosine(output: Output, expected: Output) -> MetricValues:
    """Return <a, b> / (|a| |b|) of every sample: 1 for two zero vectors, 0 if one of them is zero."""
    a, b = _flat(_double(output)), _flat(_double(expected))
    products, norms = (a * b).sum(axis=1), np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    equal = (a == b).all(axis=1).astype(np.float64)
    value = np.divide(products, norms, out=equal, where=norms > 0)
    return MetricValues(np.clip(value, -1.0, 1.0))


def kl_divergence(output: Output, expected: Output) -> MetricValues:
    """Return KL(softmax(expected) || softmax(output)) of logits [B, classes], in nats."""
    p, q = _log_softmax(expected), _log_softmax(output)
    # Never negative but for rounding.
    return MetricValues(np.maximum((np.exp(p) * (p - q)).sum(axis=1), 0.0))


def same_class(output: Output, expected: Output) -> NDArray[np.bool_]:
    """Return whether the largest class of logits [B, classes] is the expected one: [B].

    A class as likely as the checkpoint's first, but for ``_TIE`` of its probability, is the first as well.
    """
    found = np.take_along_axis(_double(expected), output.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.asarray(found >= _tied_with_first(expected))


def tied_classes(logits: Output) -> NDArray[np.bool_]:
    """Return whether logits [B, classes] have a second class that ``same_class`` takes for the first: [B]."""
    return np.asarray(np.sort(logits, axis=1)[:, -2] >= _tied_with_first(logits))


def _tied_with_first(logits: Output) -> _Doubles:
    return np.asarray(_double(logits).max(axis=1) + math.log(1 - _TIE))


def top1_agreement(output: Output, expected: Output) -> MetricValues:
    """Return 1 where logits [B, classes] have the same largest class (``same_class``), else 0."""
    return MetricValues(same_class(output, expected).astype(np.float64))


def top3_overlap(output: Output, expected: Output) -> MetricValues:
    """Return the share of the three heaviest regions of [B, K] that are the same; of all, if K is under 3.

    A region that is as heavy as the checkpoint's third, but for ``_TIE`` of it, is one of the three: which of
    equal weights is the heaviest only rounding decides.
    """
    count = min(3, output.shape[1])
    heaviest = np.argsort(-output, axis=1, kind="stable")[:, :count]
    third = np.sort(_double(expected), axis=1)[:, -count, None]
    same = np.take_along_axis(_double(expected), heaviest, axis=1) >= third - _TIE * np.abs(third)
    return MetricValues(same.mean(axis=1))


def sum_error(output: Output, _expected: Output) -> MetricValues:
    """Return the largest distance from 1 of the sums over the last axis: weights [B, K], rows [B, K, K]."""
    errors = np.abs(_double(output).sum(axis=-1) - 1)
    if output.ndim == 2:
        return MetricValues(errors)
    return MetricValues(errors.max(axis=1), errors.argmax(axis=1))


def differing_region(output: Output, expected: Output) -> NDArray[np.int64]:
    """Return the region that differs most in weights [B, K] or in rows of the affinity [B, K, K]: [B]."""
    return _region_of(_flat(np.abs(_double(output) - expected)).argmax(axis=1), output)


def _region_of(element: NDArray[np.int64], output: Output) -> NDArray[np.int64]:
    """Return the region of an element of a sample's output: a row of [K, K], an index of [K]."""
    return element // output.shape[2] if output.ndim == 3 else element


def _double(array: Output) -> _Doubles:
    return array.astype(np.float64)


def _flat(array: _Doubles) -> _Doubles:
    return array.reshape(len(array), -1)


def _log_softmax(logits: Output) -> _Doubles:
    shifted: _Doubles = _double(logits) - logits.max(axis=1, keepdims=True)
    log_sums: _Doubles = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted - log_sums
