"""How far an engine's answers lie from the checkpoint's, face by face, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Found = NDArray[np.float32]
"""One output of one call, [B, ...]."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """One metric of one output for every face of a call.

    Attributes:
        value: the metric [B].
        region: row-major index of the region at fault [B], if the metric has one of its own; meaningless for
            outputs without regions.
        allowed: what the value may be where that differs from face to face [B].
    """

    value: Values
    region: NDArray[np.int64] | None = None
    allowed: Values | None = None


def max_abs(found: Found, expected: Found, atol: float = 0.0, rtol: float = 0.0) -> Scores:
    """Return the difference at the element that exceeds its allowance ``atol + rtol * |expected|`` most."""
    difference = _flat(np.abs(_double(found) - expected))
    allowed = atol + rtol * _flat(np.abs(_double(expected)))
    worst = (difference - allowed).argmax(axis=1)[:, None]
    value, limit = (np.take_along_axis(array, worst, axis=1)[:, 0] for array in (difference, allowed))
    return Scores(value, _region_of(worst[:, 0], found), limit)


def cosine(found: Found, expected: Found) -> Scores:
    """Return <a, b> / (|a| |b|) of every face; two zero vectors are alike, one is unlike any other."""
    a, b = _flat(_double(found)), _flat(_double(expected))
    products, norms = (a * b).sum(axis=1), np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    alike = (a == b).all(axis=1).astype(np.float64)
    value = np.divide(products, norms, out=alike, where=norms > 0)
    return Scores(np.clip(value, -1.0, 1.0))


def kl_divergence(found: Found, expected: Found) -> Scores:
    """Return KL(softmax(expected) || softmax(found)) of logits [B, classes], in nats."""
    p, q = _log_softmax(expected), _log_softmax(found)
    # Never negative but for rounding.
    return Scores(np.maximum((np.exp(p) * (p - q)).sum(axis=1), 0.0))


def top1_agreement(found: Found, expected: Found) -> Scores:
    """Return 1 where logits [B, classes] have the same largest class, else 0."""
    return Scores((found.argmax(axis=1) == expected.argmax(axis=1)).astype(np.float64))


def top3_overlap(found: Found, expected: Found) -> Scores:
    """Return the share of the three heaviest regions of [B, K] that are the same; of all, if K is under 3."""
    count = min(3, found.shape[1])
    heaviest = [np.argsort(-array, axis=1, kind="stable")[:, :count] for array in (found, expected)]
    common = (heaviest[0][:, :, None] == heaviest[1][:, None, :]).sum(axis=(1, 2))
    return Scores(common / count)


def sum_error(found: Found, _expected: Found) -> Scores:
    """Return the largest distance from 1 of the sums over the last axis: weights [B, K], rows [B, K, K]."""
    errors = np.abs(_double(found).sum(axis=-1) - 1)
    if found.ndim == 2:
        return Scores(errors)
    return Scores(errors.max(axis=1), errors.argmax(axis=1))


def differing_region(found: Found, expected: Found) -> NDArray[np.int64]:
    """Return the region that differs most in weights [B, K] or in rows of the affinity [B, K, K]: [B]."""
    return _region_of(_flat(np.abs(_double(found) - expected)).argmax(axis=1), found)


def _region_of(element: NDArray[np.int64], found: Found) -> NDArray[np.int64]:
    """Return the region of an element of a face's output: the row of a table, the place in a list."""
    return element // found.shape[2] if found.ndim == 3 else element


def _double(array: Found) -> Values:
    return array.astype(np.float64)


def _flat(array: Values) -> Values:
    return array.reshape(len(array), -1)


def _log_softmax(logits: Found) -> Values:
    shifted = _double(logits) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
