"""The search keeps what passes together, with few tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.export.precision._search import search_plan
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._precision import PrecisionPlan, uniform_plan

CONFIG = NetworkConfig()
FAST, EXACT = uniform_plan("int8", CONFIG), uniform_plan("fp32", CONFIG)
QUANTIZED = [name for name, precision in FAST.blocks.items() if precision == "int8"]


def in_int8(plan: PrecisionPlan) -> set[str]:
    return {name for name, precision in plan.blocks.items() if precision == "int8"}


def test_a_plan_that_passes_is_taken_at_once() -> None:
    result = search_plan(FAST, EXACT, lambda plan: True)
    assert result.plan == FAST
    assert len(result.tried) == 1


def test_if_no_block_can_be_fast_there_is_no_plan() -> None:
    result = search_plan(FAST, EXACT, lambda plan: False)
    assert result.plan is None
    assert len(result.tried) <= 2 * len(QUANTIZED)


@given(st.sets(st.sampled_from(QUANTIZED)))
def test_exactly_the_blocks_that_fail_stay_exact(guilty: set[str]) -> None:
    result = search_plan(FAST, EXACT, lambda plan: not guilty & in_int8(plan))
    found = in_int8(result.plan) if result.plan else set()
    assert found == set(QUANTIZED) - guilty
    assert len(result.tried) <= 1 + 2 * max(1, len(guilty)) * 4


@given(st.integers(0, len(QUANTIZED)))
def test_what_is_kept_has_passed_as_a_whole(budget: int) -> None:
    """Errors add up: no block is guilty alone, but more than ``budget`` together are too many."""
    result = search_plan(FAST, EXACT, lambda plan: len(in_int8(plan)) <= budget)
    assert len(in_int8(result.plan) if result.plan else ()) == budget
    if result.plan:
        assert (result.plan, True) in result.tried
