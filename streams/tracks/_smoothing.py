"""Smoothing of a track's probabilities over time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.serving._smoothing import exponential_step
from lnlattennet.streams.tracks._names import Smoothing

Probabilities = NDArray[np.float32]

Smoother = Callable[[Probabilities | None, Probabilities, float], Probabilities]
"""(smoothed before or None, raw, seconds since then) -> smoothed; all float32 [classes]."""

_SMALLEST = 1e-6
"""Probability that every class keeps, or one frame that rules a class out would rule it out for ever."""

_DWELL = 4.0
"""Mean time for which the hidden Markov model expects an expression to stay, in time constants."""


def smoother(kind: Smoothing, time_constant: float) -> Smoother:
    """Return the function that smooths by one more frame.

    Args:
        kind: an exponential average, or the forward filter of a hidden Markov model.
        time_constant: seconds after which a frame weighs 1/e; for the hidden Markov model the time in which
            frames add up to one independent observation.
    """
    step = exponential_step if kind is Smoothing.EXPONENTIAL else hmm_step
    return partial(step, time_constant=time_constant)


def hmm_step(
    before: Probabilities | None, raw: Probabilities, passed: float, time_constant: float
) -> Probabilities:
    """Return the classes' probabilities given all frames so far, by the forward filter of an HMM.

    The hidden state is the expression. It stays for four time constants on average and changes to any other
    alike. The network's probabilities are taken for the likelihood of a frame. Frames that follow each other
    closely show the same thing, so that one counts as ``passed / time_constant`` of an observation, at most
    as one, and the result does not depend on the frame rate.

    Args:
        before: the result of the frame before, float32 [classes]; None for the first.
        raw: the frame's probabilities, float32 [classes].
        passed: seconds since the frame before, 0 or more.
        time_constant: seconds.
    """
    if before is None:
        return raw
    stays = np.exp(-passed / (_DWELL * time_constant))
    expected = stays * before.astype(np.float64) + (1 - stays) / len(raw)
    likelihood = np.maximum(raw.astype(np.float64), _SMALLEST) ** min(1.0, passed / time_constant)
    joint: NDArray[np.float64] = np.maximum(expected, _SMALLEST) * likelihood
    joint /= joint.sum()
    return joint.astype(np.float32)
