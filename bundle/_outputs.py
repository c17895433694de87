"""An engine's outputs, checked before anyone relies on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ServingError

LARGEST_SUM_ERROR = 5e-3
"""What a softmax in bf16 needs: its sum was up to 3e-3 from 1. Servers refuse answers further off."""


def check_outputs(
    logits: NDArray[np.float32],
    region_weights: NDArray[np.float32],
    region_affinity: NDArray[np.float32],
    classes: int,
    regions: int,
) -> None:
    """Check an engine's outputs: logits [B, classes], weights [B, K] and affinity [B, K, K], all float32.

    Raises:
        ServingError: a shape or type is wrong, a value is not finite, or weights or a row of the affinity
            are negative or do not sum to 1.
    """
    batch = len(logits) if logits.ndim else 0
    _check_array("logits", logits, (batch, classes))
    _check_array("region_weights", region_weights, (batch, regions))
    _check_array("region_affinity", region_affinity, (batch, regions, regions))
    _check_shares("region_weights", region_weights)
    _check_shares("region_affinity", region_affinity)


def _check_array(name: str, array: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape:
        raise ServingError(
            f"engine output {name} must be float32 {list(shape)}, got {array.dtype} {list(array.shape)}; "
            "export the bundle again"
        )
    if not np.isfinite(array).all():
        position = [int(axis[0]) for axis in np.nonzero(~np.isfinite(array))]
        raise ServingError(
            f"engine output {name} must be finite, got {array[tuple(position)]} at {position}; "
            "export the bundle again, without this engine if it is at fault (--backend)"
        )


def _check_shares(name: str, shares: NDArray[np.float32]) -> None:
    advice = "export the bundle again, without this engine if it is at fault (--backend)"
    if shares.size and shares.min() < 0:
        raise ServingError(f"engine output {name} must not be negative, got {shares.min():.6g}; {advice}")
    sums = shares.sum(axis=-1, dtype=np.float64)
    if sums.size and np.abs(sums - 1).max() > LARGEST_SUM_ERROR:
        worst = float(sums.flat[np.abs(sums - 1).argmax()])
        raise ServingError(
            f"engine output {name} must sum to 1 within {LARGEST_SUM_ERROR}, got {worst:.6g}; {advice}"
        )
