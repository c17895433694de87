"""Interleaved timing: each engine in a process of its own, fair order, every counted call kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.export.selection._timing import (
    TimingError,
    engine_arguments,
    summary,
    time_in_turns,
)

ROOT = Path(__file__).parents[3]
FACES = np.zeros((4, 3, 48, 48), np.float32)
HERE = "tests.export.selection.test_timing"
Call = Callable[[NDArray[np.float32]], object]


@pytest.fixture(autouse=True)
def processes_find_this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """They import nothing of the current folder by themselves."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def recorder(folder: str, name: str) -> Call:
    """A candidate that notes who called it, when, with how many faces; it prints, as some runtimes do."""
    print("loaded")

    def call(faces: NDArray[np.float32]) -> None:
        with (Path(folder) / "calls").open("a") as stream:
            stream.write(f"{name} {os.getpid()} {len(faces)} {time.monotonic_ns()}\n")

    return call


def broken() -> Call:
    raise ValueError("this CPU lacks an instruction")


def failing_at_two() -> Call:
    def call(faces: NDArray[np.float32]) -> None:
        if len(faces) == 2:
            raise ValueError("no batch of 2")

    return call


def killed(moment: str) -> Call:
    def end(faces: NDArray[np.float32] | None = None) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "before":
        end()
    return end


def test_candidates_live_in_processes_of_their_own_and_take_turns(tmp_path: Path) -> None:
    candidates = {name: (f"{HERE}:recorder", [str(tmp_path), name]) for name in ("one", "two")}
    samples = time_in_turns(candidates, FACES, [1, 3], 5, tmp_path)
    assert {
        name: {size: len(values) for size, values in sizes.items()} for name, sizes in samples.items()
    } == {
        "one": {1: 5, 3: 5},
        "two": {1: 5, 3: 5},
    }
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    pids = {name: {pid for who, pid, _, _ in calls if who == name} for name in candidates}
    assert len(pids["one"]) == len(pids["two"]) == 1
    assert len(pids["one"] | pids["two"] | {str(os.getpid())}) == 3
    assert {size for _, _, size, _ in calls} == {"1", "3"}
    # Uncounted calls go before every counted one.
    assert len(calls) > 2 * 2 * 5 * 2
    # Written in the order of their times: nobody calls while another does.
    times = [int(moment) for _, _, _, moment in calls]
    assert times == sorted(times)


def test_a_real_engine_is_timed(bundle_path: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    record = bundle.manifest.engine("openvino-fp32")
    candidate = engine_arguments(record.backend, bundle_path / record.file)
    samples = time_in_turns({"openvino": candidate}, FACES, [1, 4], 5, tmp_path)["openvino"]
    found = summary(4, samples[4])
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms
    assert (found.batch, found.samples) == (4, 5)


@pytest.mark.parametrize("function", ["broken", "failing_at_two"])
def test_a_candidate_that_fails_is_named(tmp_path: Path, function: str) -> None:
    pattern = (
        r"slow: the process that times it ended with exit code 1: ValueError: (this CPU lacks|no batch of 2)"
    )
    with pytest.raises(TimingError, match=pattern):
        time_in_turns({"slow": (f"{HERE}:{function}", [])}, FACES, [1, 2], 2, tmp_path)


@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_candidate_that_is_killed_is_named_with_the_signal(tmp_path: Path, moment: str) -> None:
    """The kernel does that to a process that takes too much memory."""
    candidate = (f"{HERE}:killed", [moment])
    with pytest.raises(TimingError, match=r"slow: .* ended with SIGKILL: it printed nothing"):
        time_in_turns({"slow": candidate}, FACES, [1, 2], 2, tmp_path)
