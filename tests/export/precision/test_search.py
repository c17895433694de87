"""The search keeps what passes together, with few tries."""

from __future__ import annotations

from collections.abc import Callable

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


def search(
    passes: Callable[[PrecisionPlan], bool], fast: PrecisionPlan = FAST, exact: PrecisionPlan = EXACT
) -> tuple[PrecisionPlan | None, list[PrecisionPlan]]:
    """Search; return the plan and every plan that was tried, in order."""
    tried: list[PrecisionPlan] = []

    def recorded(plan: PrecisionPlan) -> bool:
        tried.append(plan)
        return passes(plan)

    return search_plan(fast, exact, recorded), tried


def test_a_plan_that_passes_is_taken_at_once() -> None:
    assert search(lambda plan: True) == (FAST, [FAST])


def test_if_no_block_can_be_fast_there_is_no_plan() -> None:
    plan, tried = search(lambda plan: False)
    assert plan is None
    assert len(tried) <= 2 * len(QUANTIZED)


@given(st.sets(st.sampled_from(QUANTIZED)))
def test_exactly_the_blocks_that_fail_stay_exact(guilty: set[str]) -> None:
    plan, tried = search(lambda plan: not guilty & in_int8(plan))
    assert (in_int8(plan) if plan else set()) == set(QUANTIZED) - guilty
    assert len(tried) <= 1 + 2 * max(1, len(guilty)) * 4


@given(st.integers(0, len(QUANTIZED)))
def test_what_is_kept_has_passed_as_a_whole(budget: int) -> None:
    """Errors add up: no block is guilty alone, but more than ``budget`` together are too many."""
    passed: list[PrecisionPlan] = []

    def passes(plan: PrecisionPlan) -> bool:
        if len(in_int8(plan)) <= budget:
            passed.append(plan)
        return len(in_int8(plan)) <= budget

    plan, _ = search(passes)
    assert len(in_int8(plan) if plan else ()) == budget
    if plan:
        assert plan == passed[-1]


HEAD = {"attention", "local_networks", "fusion"}
WITH_HEAD = uniform_plan("int8", CONFIG, rest="bf16")
WITH_HEAD_EXACT = WITH_HEAD.raised(dict.fromkeys(QUANTIZED, "fp32"))


def test_where_nothing_quantized_fails_too_nothing_is_bisected() -> None:
    assert search(lambda plan: False) == (None, [FAST, EXACT])


def test_a_head_that_fails_is_raised_before_anything_is_bisected() -> None:
    plan, tried = search(lambda plan: "bf16" not in plan.precisions, WITH_HEAD, WITH_HEAD_EXACT)
    assert (plan, tried) == (FAST, [WITH_HEAD, WITH_HEAD_EXACT, FAST])
    assert search(lambda plan: False, WITH_HEAD, WITH_HEAD_EXACT) == (
        None,
        [WITH_HEAD, WITH_HEAD_EXACT, FAST, EXACT],
    )


def test_a_head_that_passes_stays_fast_while_blocks_are_raised() -> None:
    guilty = QUANTIZED[2]
    plan, _ = search(lambda plan: plan.blocks[guilty] == "fp32", WITH_HEAD, WITH_HEAD_EXACT)
    assert plan == WITH_HEAD.raised({guilty: "fp32"})


def test_a_raised_head_and_raised_blocks_come_together() -> None:
    guilty = QUANTIZED[-1]
    plan, _ = search(
        lambda plan: "bf16" not in plan.precisions and plan.blocks[guilty] == "fp32",
        WITH_HEAD,
        WITH_HEAD_EXACT,
    )
    assert plan == FAST.raised({guilty: "fp32"})
    assert {plan.blocks[name] for name in HEAD} == {"fp32"}
