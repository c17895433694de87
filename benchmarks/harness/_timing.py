"""Turn of a call on the host."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from torch import Tensor

from lnlattennet._interleave import Turn


def host_turn(call: Callable[[Tensor], object], inputs: Sequence[Tensor]) -> Turn:
    """Time a call that is done when it returns; each turn takes the next of the inputs in a circle.

    A call that is not counted goes first, since the candidate before it may have put threads to sleep and
    code out of the cache.
    """
    circle = itertools.cycle(inputs)

    def turn() -> float:
        call(next(circle))
        features = next(circle)
        start = time.perf_counter_ns()
        call(features)
        return (time.perf_counter_ns() - start) / 1e9

    return turn
