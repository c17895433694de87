"""A mean over faces with its bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.evaluation._bootstrap import RESAMPLES, interval

_VALUES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class MeanInterval:
    """A mean and its 95% interval, which says how much another draw of as many faces could differ.

    Attributes:
        value: the mean.
        low: 2.5th percentile of the resampled means.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def mean_interval(values: NDArray[np.float64], seed: int = 0) -> MeanInterval:
    """Return the mean of one value per face [N], N of 1 or more, and its percentile bootstrap interval."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _VALUES_AT_ONCE // len(values))
    rounds = [min(at_once, RESAMPLES - done) for done in range(0, RESAMPLES, at_once)]
    means = [values[rng.integers(0, len(values), (n, len(values)))].mean(axis=1) for n in rounds]
    low, high = interval(np.concatenate(means))
    return MeanInterval(float(values.mean()), low, high)
