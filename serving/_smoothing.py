"""Exponential smoothing of probabilities, the same on a server and in this process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def exponential_step(
    before: NDArray[np.float32] | None,
    raw: NDArray[np.float32],
    passed: float,
    time_constant: float,
) -> NDArray[np.float32]:
    """Return the average of a stream's probabilities after one more frame.

    The average is exponential in time, not in frames: after ``time_constant`` s a frame weighs 1/e of what
    it did, at any frame rate.

    Args:
        before: the average so far, shaped as ``raw``; None before the first frame.
        raw: the frame's probabilities, float32, of any shape.
        passed: seconds since the frame before, 0 or more.
        time_constant: seconds.
    """
    if before is None:
        return raw
    # float64, so that thousands of frames do not drift from a sum of 1.
    weight = -np.expm1(-passed / time_constant)
    smoothed: NDArray[np.float64] = before + weight * (raw.astype(np.float64) - before)
    return smoothed.astype(np.float32)
