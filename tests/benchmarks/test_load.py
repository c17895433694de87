"""What other programs took while a benchmark ran: theirs is told from the benchmark's own."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lnlattennet.benchmarks.harness._command import report
from lnlattennet.benchmarks.harness._load import QUIET, Lap, Load, Watch, own_ticks
from lnlattennet.benchmarks.harness._record import Record

BUSY = "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
LAP = Lap(2.0, own_cpus=1.9, other_cpus=0.0, stolen_cpus=0.0, waiting=0.9, load_average=9.0, clock_mhz=None)
LOAD = Load(2, pressure_before=80.0, load_average_before=9.0)


@contextmanager
def busy_process(seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-I", "-c", BUSY.format(seconds=seconds)]
    with subprocess.Popen(command) as process:
        yield process
        process.kill()


def test_time_of_processes_that_ran_and_that_run_is_the_benchmarks_own() -> None:
    watch = Watch()
    with busy_process(0.7):
        time.sleep(0.7)
    with busy_process(60):
        time.sleep(0.7)
        watch.lap()
    (lap,) = watch.load.laps
    # Little, as a busy machine may give them no more.
    assert lap.own_cpus > 0.05
    assert 1.0 < lap.seconds < 60
    assert lap.other_cpus <= watch.load.cpus


def test_a_process_beside_is_another_program() -> None:
    with busy_process(60) as beside:
        time.sleep(0.3)
        assert own_ticks(beside.pid) > 2
        with subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE) as own:
            assert own_ticks(own.pid) < own_ticks(beside.pid)
            own.communicate(b"\n")


def test_a_lap_too_short_to_count_becomes_a_part_of_the_next() -> None:
    watch = Watch()
    watch.lap()
    assert not watch.load.laps
    assert watch.load.quiet is None
    assert watch.load.warning() == ""


def test_a_benchmark_on_all_cores_does_not_warn_about_itself() -> None:
    load = LOAD.with_lap(LAP)
    assert load.quiet
    assert load.warning() == ""


@pytest.mark.parametrize("others", [{"other_cpus": 0.2}, {"stolen_cpus": 0.2}])
def test_others_are_named_in_a_warning_and_in_the_record(
    others: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    record = Record(benchmark="images")
    # One disturbed case is enough, whatever came after it.
    record.load = LOAD.with_lap(replace(LAP, **others)).with_lap(LAP)
    report(record, "table", argparse.Namespace(output=None, json=False))
    told = capsys.readouterr()
    assert told.out == "table\n"
    assert "warning: the machine was not quiet: others took 10% of its 2 CPUs" in told.err
    load = record.to_json()["load"]
    assert load["others"] == 0.1 > QUIET
    assert load["quiet"] is False
    assert [lap["load_average"] for lap in load["laps"]] == [9.0, 9.0]


def test_a_record_has_the_limits_of_the_machine() -> None:
    machine = Record(benchmark="images").machine
    assert machine["memory_bytes"] > 2**28
    for limit in ("cpu_quota", "memory_limit_bytes"):
        assert machine[limit] is None or machine[limit] > 0
