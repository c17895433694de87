"""Search for the blocks that can run in a fast precision: all of them at once, then by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lnlattennet.runtimes._precision import PrecisionPlan


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        plan: the last plan that passed, or None if no block can run in the fast precision.
        tried: every plan that was tried, in order, with whether it passed.
    """

    plan: PrecisionPlan | None
    tried: list[tuple[PrecisionPlan, bool]] = field(default_factory=list)


def search_plan(
    fast: PrecisionPlan, exact: PrecisionPlan, passes: Callable[[PrecisionPlan], bool]
) -> SearchResult:
    """Return the fast plan if it passes, else as much of it as bisection keeps.

    A group of blocks that fails is halved; each half is tried on top of what was kept so far. So every plan
    that is kept has passed as a whole, and n blocks of which k must stay exact need about 2 k log2(n) tries.

    Args:
        fast: the plan that is wanted.
        exact: the precision that a block is raised to; where it equals ``fast`` there is nothing to search.
        passes: builds a plan's engine and puts it through the gate.
    """
    tried: list[tuple[PrecisionPlan, bool]] = []

    def keeps(blocks: Sequence[str], kept: PrecisionPlan) -> PrecisionPlan:
        candidate = kept.raised({name: fast.blocks[name] for name in blocks})
        tried.append((candidate, passes(candidate)))
        if tried[-1][1]:
            return candidate
        if len(blocks) == 1:
            return kept
        middle = len(blocks) // 2
        for half in (blocks[:middle], blocks[middle:]):
            kept = keeps(half, kept)
        return kept

    blocks = [name for name, precision in fast.blocks.items() if precision != exact.blocks[name]]
    plan = keeps(blocks, exact)
    return SearchResult(None if plan == exact else plan, tried)
