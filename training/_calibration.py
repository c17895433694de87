"""Temperature scaling: one factor that makes a network's confidence match its accuracy.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
Only the fit needs more than numpy: a bundle is evaluated without torch and SciPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import DataError

TEMPERATURES = (0.01, 100.0)
"""Range of a temperature."""


def log_probabilities(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the logarithm of softmax(logits / temperature) over the last axis, in float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def negative_log_likelihood(
    logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], temperature: float = 1.0
) -> float:
    """Return the mean of -log p(label) over n faces, n > 0; ``logits`` [n, classes], ``labels`` [n]."""
    chosen = log_probabilities(logits, temperature)[np.arange(len(labels)), labels]
    return float(-chosen.mean())


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """Return the temperature T for which softmax(logits / T) has the least negative log-likelihood.

    The likelihood is convex in 1 / T, so its slope changes sign once; Brent's method finds that T.
    With every face right there is no such T (the smaller, the better): 1 is returned. A network no better
    than chance has none either (the larger, the better): the largest
    temperature is returned, which makes all classes about equally likely.

    Args:
        logits: of faces that the network was not trained on, [n, classes].
        labels: their classes, [n].

    Raises:
        DataError: fewer than 2 faces, shapes that do not fit, a label out of range, or a logit that is not
            finite.
    """
    check_answers(logits, labels)
    if len(labels) < 2:
        raise DataError(f"a temperature needs at least 2 labeled faces, got {len(labels)}")
    values = np.asarray(logits, np.float64)
    # Relative to the right class's logit, a face that is right has no positive term: no rounding can
    # make its slope look positive.
    relative = values - np.take_along_axis(values, np.asarray(labels)[:, None], axis=1)
    low, high = map(math.log, TEMPERATURES)
    if _slope(relative, math.exp(low)) <= 0:
        return 1.0
    if _slope(relative, math.exp(high)) >= 0:
        return TEMPERATURES[1]
    from scipy.optimize import brentq

    return math.exp(brentq(lambda log: _slope(relative, math.exp(log)), low, high, xtol=1e-12))


def check_answers(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> None:
    """Check that logits [n, classes] and labels [n] belong together.

    Raises:
        DataError: they do not, a label is no column, or a logit is not finite; says which row.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"logits must be [faces, classes] with one label per face, got {list(logits.shape)} and "
            f"{list(labels.shape)}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= logits.shape[1]))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"label {labels[row]} of face {row} must be from 0 to {logits.shape[1] - 1}")
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        row = int(broken[0])
        raise DataError(
            f"logits must be finite, but {broken.size} of {len(logits)} faces have others, the first is face "
            f"{row}: {[float(value) for value in logits[row]]}; the weights or the engine are at fault"
        )


def _slope(relative: NDArray[np.float64], temperature: float) -> float:
    """Return the likelihood's derivative with respect to 1 / T: mean of sum_c p_c (z_c - z_label)."""
    probabilities = np.exp(log_probabilities(relative, temperature))
    return float((probabilities * relative).sum(axis=1).mean())
