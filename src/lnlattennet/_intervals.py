"""How sure a median of timings is: bootstrap intervals, as in Efron and Tibshirani, 1993."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 400


def median_interval(samples: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the samples and its 95% percentile bootstrap interval, in the samples' unit."""
    values = np.asarray(samples)
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(values[draws], axis=1), [2.5, 97.5])
    return float(np.median(values)), float(low), float(high)


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio of two medians, and its 95% interval from resampling the rounds.

    Both samples of a round are drawn together, so a slow spell of the machine hits both.
    """
    pairs = np.array([numerator, denominator])
    draws = np.random.default_rng(0).integers(0, pairs.shape[1], (RESAMPLES, pairs.shape[1]))
    medians = np.median(pairs[:, draws], axis=2)
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    return float(np.median(pairs[0]) / np.median(pairs[1])), float(low), float(high)
