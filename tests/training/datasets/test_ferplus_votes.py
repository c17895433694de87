"""The majority of the votes against a plain reading of the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.training.datasets.ferplus_votes import UNKNOWN, majority


def by_the_letter(votes: list[int]) -> int:
    """Zero single votes; the winner needs more than 50% of the rest, else unknown."""
    rest = []
    for vote in votes:
        rest.append(0 if vote == 1 else vote)
    for index, vote in enumerate(rest):
        if vote > 0.5 * sum(rest):
            return index
    return 8


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_any_votes(votes: list[int]) -> None:
    assert majority(tuple(votes)) == by_the_letter(votes)


@given(st.lists(st.integers(0, 9), min_size=10, max_size=10))
def test_ten_people(choices: list[int]) -> None:
    votes = [choices.count(choice) for choice in range(10)]
    assert majority(tuple(votes)) == by_the_letter(votes)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0),
        ((0, 0, 0, 0, 0, 0, 0, 6, 4, 0), 7),
        ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), UNKNOWN),
        ((5, 1, 1, 1, 1, 1, 0, 0, 0, 0), 0),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), UNKNOWN),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), UNKNOWN + 1),
        ((0, 0, 0, 0, 0, 0, 0, 0, 10, 0), UNKNOWN),
        ((0,) * 10, UNKNOWN),
        ((2, 0, 0, 0, 0, 0, 0, 0, 2, 0), UNKNOWN),
    ],
)
def test_votes_counted_by_hand(votes: tuple[int, ...], expected: int) -> None:
    assert majority(votes) == expected
