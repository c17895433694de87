"""Verdicts on required figures."""

from __future__ import annotations

import pytest

from lnlattennet.benchmarks.harness._record import ExperimentResult, RequirementResult, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table, requirement_table


@pytest.mark.parametrize(
    ("figure", "at_least", "at_most"),
    [
        ((2.0,), "missed", "reached"),
        ((2.5,), "reached", "reached"),
        ((3.0,), "reached", "missed"),
        ((2.0, 1.5, 2.4), "missed", "reached"),
        ((2.0, 1.5, 2.6), "undecided", "undecided"),
        ((3.0, 2.4, 3.1), "undecided", "undecided"),
        ((3.0, 2.6, 3.1), "reached", "missed"),
    ],
)
def test_a_figure_is_judged_by_its_interval(figure: tuple[float, ...], at_least: str, at_most: str) -> None:
    for upper, status in ((False, at_least), (True, at_most)):
        required = RequirementResult(text="ratio", case="b1", bound=2.5, upper=upper)
        assert required.with_value(*figure).status == status
    assert RequirementResult(text="ratio", case="b1").with_value(*figure).status == "nothing required"


def test_a_single_sample_has_no_interval() -> None:
    once = ExperimentResult("b1", {}, warm_results({"ours": [1e-3], "peer": [2e-3]}))
    assert "95% interval" not in comparison_table([once], "ours", "ms", 1e3)
    required = RequirementResult(text="time over ours", case="b1", state="warm", bound=1.5)
    assert "95% interval" not in requirement_table([required.with_ratio(once, "ours", ["peer"])])
    twice = ExperimentResult("b1", {}, warm_results({"ours": [1e-3, 2e-3], "peer": [2e-3, 9e-3]}))
    assert "1.00 - 2.00" in comparison_table([twice], "ours", "ms", 1e3)
    assert "2.00 - 4.50" in requirement_table([required.with_ratio(twice, "ours", ["peer"])])
