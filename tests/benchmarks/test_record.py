"""Verdicts on required figures."""

from __future__ import annotations

import pytest

from lnlattennet.benchmarks.harness._record import RequirementResult


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
