"""95% intervals of figures over faces, timings or starts of a program: percentile bootstrap, and Student's t.

Sources: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; Student, "The probable error
of a mean", Biometrika 6, 1908. The bootstrap needs numpy only: some benchmarks run on machines that have
little else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

RESAMPLES = 1000
_TIMING_RESAMPLES = 400
"""Number that every recorded interval of the benchmarks was computed with."""

FEWEST_FOR_P99 = 100
"""Timings below which the 99th percentile is about the slowest of them, and says little."""

_DRAWS_AT_ONCE = 1_000_000
"""Bound of the memory that the draws take; the random numbers do not depend on it."""


class Estimate(NamedTuple):
    """A figure and its 95% interval.

    Attributes:
        value: figure of the whole sample.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def text(self, digits: str = ".2f") -> str:
        """Return it as text, such as "1.03 [1.00, 1.05]"."""
        value, low, high = (format(number, digits) for number in self)
        return f"{value} [{low}, {high}]"

    def to_dict(self) -> dict[str, float]:
        """Return the fields by name, rounded to 4 digits, for JSON."""
        return {name: round(number, 4) for name, number in self._asdict().items()}


def bootstrap(
    statistic: Callable[[Indices], Floats], count: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Draw indices with replacement and compute a statistic of every draw.

    Args:
        statistic: indices [n, count] to values [n, ...]; called with as many draws as fit in memory.
        count: size of the sample, 1 or more.
        resamples: number of draws.
        seed: the same seed draws the same indices.

    Returns:
        The statistic of every draw, [resamples, ...].
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // count)
    sizes = [min(at_once, resamples - done) for done in range(0, resamples, at_once)]
    return np.concatenate([statistic(rng.integers(0, count, (size, count))) for size in sizes])


def interval(samples: Floats) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the samples [n] that are numbers; NaN if none is."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(known, (2.5, 97.5))
    return (float(low), float(high))


def mean_interval(values: Floats, seed: int = 0) -> Estimate:
    """Return the mean of one value per face [n], n of 1 or more; the same seed draws the same faces."""
    means = bootstrap(lambda draws: values[draws].mean(axis=1), len(values), seed=seed)
    return Estimate(float(values.mean()), *interval(means))


def mean_ratio_interval(numerator: Floats, denominator: Floats, seed: int = 0) -> Estimate | None:
    """Return the ratio of the means of two values per face [n]; None where the second mean is not positive.

    Both values of a face are drawn together. A resample whose second mean is not positive has no ratio and is
    left out. A mean that is 0 but for rounding, such as that of 2/3, -1/3 and -1/3, is not positive.
    """
    pairs = np.stack([numerator, denominator])
    rounding = 1e-12 * np.abs(denominator).max()

    def ratios(draws: Indices) -> Floats:
        above, below = pairs[:, draws].mean(axis=2)
        return np.asarray(np.divide(above, below, out=np.full_like(above, np.nan), where=below > rounding))

    above, below = pairs.mean(axis=1)
    if below <= rounding:
        return None
    return Estimate(float(above / below), *interval(bootstrap(ratios, pairs.shape[1], seed=seed)))


def median_interval(samples: Sequence[float]) -> Estimate:
    """Return the median of timings and its interval, in their unit."""
    return _timing_interval(lambda drawn: np.median(drawn[0], axis=-1), samples)


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the ratio of the medians of two interleaved timings.

    Both samples of a round are drawn together, so a slow spell of the machine hits both.
    """
    return _timing_interval(_ratio_of_medians, numerator, denominator)


def median_of_starts(starts: Sequence[Sequence[float]]) -> Estimate:
    """Return the median of timings that several starts of a program gave, and its interval.

    A new process lays its memory out anew, which alone makes the same code some percent faster or slower in
    all its calls. So of several starts they are the sample, and not their calls: the figure is the geometric
    mean of their medians.
    """
    if len(starts) == 1:
        return median_interval(starts[0])
    return _exp(student_interval(log_medians(starts)))


def ratio_of_starts(numerator: Sequence[Sequence[float]], denominator: Sequence[Sequence[float]]) -> Estimate:
    """Return the ratio of two timings that took turns in several starts (``median_of_starts``)."""
    if len(numerator) == 1:
        return ratio_interval(numerator[0], denominator[0])
    return _exp(student_interval(log_medians(numerator) - log_medians(denominator)))


def student_interval(values: Floats) -> Estimate:
    """Return the mean of independent values [n], n of 2 or more, and its interval by Student's t."""
    from scipy.stats import t

    mean = float(values.mean())
    reach = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - reach, mean + reach)


def log_medians(starts: Sequence[Sequence[float]]) -> Floats:
    """Return the logarithm of each start's median, [starts]."""
    return np.log([np.median(samples) for samples in starts])


def p99(samples: Sequence[float] | Floats) -> float | None:
    """Return the 99th percentile of timings; None of fewer than ``FEWEST_FOR_P99``."""
    return float(np.percentile(samples, 99)) if len(samples) >= FEWEST_FOR_P99 else None


def tail_interval(samples: Sequence[float]) -> Estimate:
    """Return the 99th percentile of timings over their median."""
    return _timing_interval(_tail, samples)


def _exp(logarithm: Estimate) -> Estimate:
    return Estimate(*(math.exp(number) for number in logarithm))


def _ratio_of_medians(pairs: Floats) -> Floats:
    numerator, denominator = np.median(pairs, axis=-1)
    return np.asarray(numerator / denominator)


def _tail(samples: Floats) -> Floats:
    high, median = np.percentile(samples[0], (99, 50), axis=-1)
    return np.asarray(high / median)


def _timing_interval(statistic: Callable[[Floats], Floats], *timings: Sequence[float]) -> Estimate:
    """Return a statistic of timings [k, ..., n], which gives [...], and its interval."""
    samples = np.array(timings, np.float64)
    draws = bootstrap(
        lambda indices: statistic(samples[:, indices]), samples.shape[1], resamples=_TIMING_RESAMPLES
    )
    return Estimate(float(statistic(samples)), *interval(draws))


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p-value of the exact McNemar test: are two models right equally often?

    Source: McNemar, Psychometrika 12, 1947; exact form: the binomial test of the discordant faces at 1/2.

    Args:
        first_only: faces that only the first model gets right.
        second_only: faces that only the second one does.
    """
    discordant, fewer = first_only + second_only, min(first_only, second_only)
    tail = sum(math.comb(discordant, count) for count in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**discordant))
