"""Processes that hang are told from those that wait for requests, or work on one for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lnlattennet.serving.triton import _pulse
from lnlattennet.serving.triton._pulse import VARIABLE, Pulse, Pulses

PATIENCE_SECONDS = 60
"""Far more than it takes: a test does not judge time."""

IDLE = "threading.Event().wait()"
STUCK = "with pulse.work(): threading.Event().wait()"
COMPUTING = "with pulse.work(): any(iter(int, 1))"
MANY = "while True:\n    with pulse.work(): time.sleep(0.01)"


Start = Callable[[str], int]


@pytest.fixture
def pulses(tmp_path: Path) -> Pulses:
    return Pulses(tmp_path / "pulse-")


@pytest.fixture
def start(pulses: Pulses) -> Iterator[Start]:
    """Start processes with a pulse, and return their numbers once they have one."""
    with ExitStack() as stack:

        def start(code: str) -> int:
            code = f"import threading, time; from {_pulse.__name__} import Pulse; pulse = Pulse()\n{code}"
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", code], env=os.environ | {VARIABLE: str(pulses.prefix)}
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            while not Path(f"{pulses.prefix}{process.pid}").exists():
                time.sleep(0.01)
            return process.pid

        yield start


def hung_at_last(pulses: Pulses, pids: list[int], number: int) -> list[int]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := pulses.hung(pids)) < number:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_what_is_stopped_or_stuck_hangs_and_what_waits_or_works_does_not(
    pulses: Pulses, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, stuck, idle, computing, many = map(start, (IDLE, STUCK, IDLE, COMPUTING, MANY))
    pids = [stopped, stuck, idle, computing, many]
    os.kill(stopped, signal.SIGSTOP)
    assert hung_at_last(pulses, pids, 2) == [stopped, stuck]
    os.kill(stopped, signal.SIGCONT)
    while pulses.hung([stopped]):
        pass
    monkeypatch.setattr(_pulse, "_PATIENCE_SECONDS", 2.0)
    assert hung_at_last(pulses, [idle, computing, many], 1) == [computing]


def test_a_pulse_leaves_no_file(pulses: Pulses, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(pulses.prefix))
    killed = start(IDLE)
    own = Pulse()
    names = {f"pulse-{killed}", f"pulse-{os.getpid()}"}
    assert {path.name for path in pulses.prefix.parent.iterdir()} == names
    own.close()
    pulses.forget([killed])
    assert list(pulses.prefix.parent.iterdir()) == []
    assert pulses.hung([killed]) == []


def test_without_someone_who_watches_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    pulse = Pulse()
    with pulse.work():
        pass
    pulse.close()
    assert list(tmp_path.iterdir()) == []
