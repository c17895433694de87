"""Interleaved timing: every candidate runs once a round, and every sample is kept."""

from __future__ import annotations

from lnlattennet._interleave import interleave


def test_candidates_take_turns_in_random_order_and_every_sample_is_kept() -> None:
    order: list[str] = []

    def turn(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    turns = {name: lambda name=name, at=at: turn(name, at) for at, name in enumerate("abcd")}
    samples = interleave(turns, 30, 50)
    assert samples == {name: [at] * 30 for at, name in enumerate("abcd")}
    rounds = ["".join(order[start : start + 4]) for start in range(0, len(order), 4)]
    assert all(sorted(names) == list("abcd") for names in rounds)
    assert len(set(rounds)) > 10
    assert len(interleave(turns, 1, 5, seconds=60)["a"]) == 5
    assert len(interleave(turns, 3)["a"]) == 3
