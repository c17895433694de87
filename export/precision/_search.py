"""Search for the blocks that can run in a fast precision: all of them at once, then by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lnlattennet.runtimes._precision import PrecisionPlan


def search_plan(
    fast: PrecisionPlan, exact: PrecisionPlan, passes: Callable[[PrecisionPlan], bool]
) -> PrecisionPlan | None:
    """Return the fast plan if it passes, else as much of it as bisection keeps; None if that is no block.

    A group of blocks that fails is halved; each half is tried on top of what was kept so far. So every plan
    that is kept has passed as a whole, and n blocks of which k must stay exact need about 2 k log2(n) tries.

    Args:
        fast: the plan that is wanted.
        exact: the precision that a block is raised to; where it equals ``fast`` there is nothing to search.
        passes: builds a plan's engine and puts it through the gate. The last plan that passes is returned.
    """

    def keeps(blocks: Sequence[str], kept: PrecisionPlan) -> PrecisionPlan:
        candidate = kept.raised({name: fast.blocks[name] for name in blocks})
        if passes(candidate):
            return candidate
        if len(blocks) == 1:
            return kept
        middle = len(blocks) // 2
        for half in (blocks[:middle], blocks[middle:]):
            kept = keeps(half, kept)
        return kept

    plan = keeps([name for name, precision in fast.blocks.items() if precision != exact.blocks[name]], exact)
    return None if plan == exact else plan
