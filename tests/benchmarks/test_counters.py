"""Counters around calls: what the system counts is that of the calls, and what it does not has a reason."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import pytest

from lnlattennet.benchmarks.harness._counters import JOULES, Counters, counter_states
from lnlattennet.benchmarks.harness._energy import COUNTED, Energy


def work(seconds: float) -> float:
    """Take processor time; return how much it was."""
    start = time.process_time()
    while (taken := time.process_time() - start) < seconds:
        pass
    return taken


def test_every_counter_is_there_or_has_a_reason() -> None:
    states = counter_states()
    assert list(states) == ["cycles", "instructions", "cache_misses", "processor_seconds", JOULES]
    assert all(states.values())
    with Counters() as counters:
        assert list(counters.read()) == [name for name, state in states.items() if state == COUNTED]


def test_processor_time_is_that_of_the_calls() -> None:
    if (state := counter_states()["processor_seconds"]) != COUNTED:
        pytest.skip(state)
    with Counters() as counters:
        tally = counters.around("candidate", "warm")
        taken = []
        for seconds in (0.02, 0.06):
            work(0.05)  # outside, so it does not count
            with tally:
                taken.append(work(seconds))
        counted = counters.per_call("candidate")["warm"]["processor_seconds"]
    assert counted == pytest.approx(sum(taken) / 2, rel=0.2)


def test_threads_count_from_wherever_they_were_started() -> None:
    if (state := counter_states()["processor_seconds"]) != COUNTED:
        pytest.skip(state)
    with Counters() as counters:
        tally = counters.around("candidate", "warm")
        with tally:
            thread = Thread(target=work, args=(0.05,))
            thread.start()
            thread.join()
        assert counters.per_call("candidate")["warm"]["processor_seconds"] >= 0.04


def test_nothing_is_known_of_a_candidate_without_calls() -> None:
    with Counters() as counters:
        assert counters.per_call("candidate") == {}


def zone(folder: Path, name: str, microjoules: int) -> Path:
    path = folder / name
    path.mkdir()
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text("999999\n")
    return path / "energy_uj"


def test_energy_is_that_of_all_processors_and_goes_on_beyond_the_range(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "intel-rapl:0", 900_000), zone(tmp_path, "intel-rapl:1", 0)
    zone(tmp_path, "intel-rapl:0:0", 5)  # the cores of the first, which count there too
    energy = Energy(tmp_path)
    assert energy.state == COUNTED
    first.write_text("100000\n")
    second.write_text("300000\n")
    assert energy.joules() == pytest.approx(0.5)
    second.write_text("400000\n")
    assert energy.joules() == pytest.approx(0.6)


def test_a_machine_without_energy_says_so(tmp_path: Path) -> None:
    assert Energy(tmp_path).state == f"there is no zone intel-rapl:N in {tmp_path}"
    (tmp_path / "intel-rapl:0").mkdir()
    assert Energy(tmp_path).state.endswith("energy_uj: No such file or directory")
