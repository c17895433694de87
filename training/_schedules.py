"""Learning rate schedules over all steps of a run."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def one_cycle(optimizer: Optimizer, peak: float, steps: int) -> LRScheduler:
    """Return a rise over the first tenth of the steps and a cosine fall to nearly zero."""
    # Its warm-up must end after the first step and before the last, or it divides by zero.
    return OneCycleLR(optimizer, peak, steps, pct_start=max(0.1, 2 / steps))


def cosine(optimizer: Optimizer, steps: int, warm_up_steps: int) -> LRScheduler:
    """Return a linear warm-up to the optimizer's rate, then half a cosine down to zero.

    ``SequentialLR`` of ``LinearLR`` and ``CosineAnnealingLR`` has the same rates, but cannot load the state
    of runs that were started with this one.
    """

    def share(step: int) -> float:
        if step < warm_up_steps:
            return (step + 1) / (warm_up_steps + 1)
        done = (step - warm_up_steps) / max(1, steps - warm_up_steps)
        return (1 + math.cos(math.pi * min(1.0, done))) / 2

    return LambdaLR(optimizer, share)
