"""What is compared on a machine, how the rounds narrow it down, and what is chosen."""

from __future__ import annotations

import math
import time

import pytest

from lnlattennet.errors import ServingError, UsageError
from lnlattennet.serving.triton._scheduling import Scheduling
from lnlattennet.serving.tuning._candidates import candidates
from lnlattennet.serving.tuning._load import Sample
from lnlattennet.serving.tuning._report import summary
from lnlattennet.serving.tuning._rounds import (
    ROUNDS,
    Objective,
    Trial,
    Turn,
    choose,
    number_of_turns,
    run_rounds,
)
from lnlattennet.serving.tuning._tune import TuningOptions

DEFAULT, THREE, FOUR, SIX = (Scheduling(instances=count) for count in (2, 3, 4, 6))


def turn(rate: float, p50: float = 10.0) -> Turn:
    """A turn with one request in flight at the latency, and with eight at the rate."""
    return Turn(0.0, 1.0, [Sample(1, 1.0, [p50]), Sample(8, 1.0, [10.0] * round(rate))])


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("cores", [1, 2, 3, 4, 16, 96])
def test_the_default_comes_first_and_nothing_twice(cores: int, native: bool) -> None:
    for joined in (0, 1):
        assert candidates(cores, 8, native, joined)[0] == Scheduling(joined=joined)
    found = candidates(cores, 8, native)
    assert len(set(found)) == len(found) <= 24
    # Tables, pictures and the log name them so.
    assert len({str(one) for one in found}) == len(found)
    assert all(2 <= one.instances <= max(2, 1.5 * cores) for one in found)
    # Threads beyond the share are tried with the fewest instances only.
    assert {one.instances for one in found if one.threads} <= {2}


def test_a_lone_request_has_none_to_join() -> None:
    for joined in (0, 1):
        assert {(one.joined, one.delay_us) for one in candidates(4, 1, False, joined)} == {(joined, 0)}
        assert {(one.joined, one.delay_us) for one in candidates(4, 2, False, joined)} == {
            (0, 0),
            (1, 0),
            (0, 2000),
        }


def test_few_requests_have_no_99th_percentile() -> None:
    once, twice = Trial(DEFAULT, [turn(60)]), Trial(DEFAULT, [turn(60), turn(60)])
    assert summary(once, 8) == (60, 10, None)
    assert summary(twice, 8) == (60, 10, 10)
    assert summary(once, 4) == ()


@pytest.mark.parametrize("objective", ["throughput", "latency"])
def test_the_better_half_goes_on_with_the_default(objective: Objective) -> None:
    rates = {DEFAULT: 50, THREE: 60, FOUR: 70, SIX: 80}
    trials = run_rounds(
        list(rates), lambda one: turn(rates[one], p50=1000 / rates[one]), objective, time.monotonic() + 60
    )
    assert [trial.scheduling for trial in trials] == list(rates)
    assert [len(trial.turns) for trial in trials] == [ROUNDS, 1, 1, ROUNDS]
    assert number_of_turns(4) == sum(len(trial.turns) for trial in trials)
    assert choose(trials, objective).scheduling == SIX


def test_no_round_begins_too_late() -> None:
    trials = run_rounds([DEFAULT, THREE], lambda _: turn(50), "throughput", -math.inf)
    assert [len(trial.turns) for trial in trials] == [1, 1]


def test_what_cannot_be_served_or_answers_wrongly_is_not_chosen() -> None:
    def measure(scheduling: Scheduling) -> Turn:
        if scheduling == SIX:
            raise ServingError("the answer is wrong")
        return turn(10 * scheduling.instances)

    trials = run_rounds([DEFAULT, THREE, SIX], measure, "throughput", time.monotonic() + 60)
    assert trials[2].refused == "the answer is wrong"
    assert trials[2].turns == []
    assert choose(trials, "throughput").scheduling == THREE


def test_a_refused_default_is_replaced_and_nothing_at_all_is_an_error() -> None:
    worse = Trial(THREE, [turn(10)])
    assert choose([Trial(DEFAULT, [turn(50)], "died"), worse], "throughput") is worse
    with pytest.raises(ServingError, match=r"no candidate serves this bundle here.*died"):
        choose([Trial(DEFAULT, refused="died"), Trial(THREE, refused="no")], "throughput")


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ([60, 60, 60], THREE),
        ([90, 90, 49], DEFAULT),  # not in every round
        ([51, 51, 51], DEFAULT),  # not by enough
        ([90], DEFAULT),  # one round
    ],
)
def test_the_default_stays_unless_another_is_better_in_every_round(
    rates: list[float], chosen: Scheduling
) -> None:
    trials = [Trial(DEFAULT, [turn(50)] * len(rates)), Trial(THREE, [turn(rate) for rate in rates])]
    assert choose(trials, "throughput").scheduling == chosen


def test_another_steady_one_is_chosen_where_the_best_is_not_steady() -> None:
    trials = [
        Trial(DEFAULT, [turn(50)] * 2),
        Trial(THREE, [turn(200), turn(40)]),
        Trial(FOUR, [turn(60), turn(60)]),
    ]
    assert choose(trials, "throughput").scheduling == FOUR


@pytest.mark.parametrize("in_flight", [(0,), (1, 1), (129,), (-1, 4)])
def test_requests_in_flight_fit_the_queue(in_flight: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="must be different numbers from 1 to 128"):
        TuningOptions(in_flight=in_flight)
