"""Search for the blocks that can run in a fast precision: all of them at once, then by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lnlattennet.runtimes._precision import PrecisionPlan


def search_plan(
    fast: PrecisionPlan, exact: PrecisionPlan, passes: Callable[[PrecisionPlan], bool]
) -> PrecisionPlan | None:
    """Return the fast plan if it passes, else as much of it as bisection keeps; None if that is no block.

    If it fails, ``exact`` is tried before anything is bisected: where that fails too, the blocks that both
    have in a lower precision are at fault, and run in fp32 from then on.

    A group of blocks that fails is halved; each half is tried on top of what was kept so far. So every plan
    that is kept has passed as a whole, and n blocks of which k must stay exact need about 2 k log2(n) tries.

    Args:
        fast: the plan that is wanted.
        exact: the precision that a block is raised to; where it equals ``fast`` there is nothing to search.
        passes: builds a plan's engine and puts it through the gate. The last plan that passes is returned.
    """

    def keeps(blocks: Sequence[str], kept: PrecisionPlan, known_to_fail: bool = False) -> PrecisionPlan:
        candidate = kept.raised({name: fast.blocks[name] for name in blocks})
        if not known_to_fail and passes(candidate):
            return candidate
        if len(blocks) == 1:
            return kept
        middle = len(blocks) // 2
        for half in (blocks[:middle], blocks[middle:]):
            kept = keeps(half, kept)
        return kept

    if passes(fast):
        return fast
    searched = [name for name, precision in fast.blocks.items() if precision != exact.blocks[name]]
    if not passes(exact):
        raised = {name: "fp32" for name in fast.blocks if name not in searched}
        if exact == exact.raised(raised):
            return None
        return search_plan(fast.raised(raised), exact.raised(raised), passes)
    plan = keeps(searched, exact, known_to_fail=True)
    return None if plan == exact else plan
