"""A build shows its phases and stops at Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
from rich.console import Console

from lnlattennet.runtimes.tensorrt import _backend as tensorrt
from lnlattennet.runtimes.tensorrt import _progress as tensorrt_progress
from tests.runtimes.tensorrt.engines import spec_for
from tests.runtimes.typed_graphs import write_graph

T = TypeVar("T")

INTERRUPTED_BUILD = '''
import logging, os, pathlib, signal, sys
from tests.runtimes.tensorrt.engines import spec_for
from tests.runtimes.typed_graphs import write_graph
from lnlattennet.runtimes.tensorrt import _backend as tensorrt

number = int(sys.argv[2])
signal.signal(number, signal.default_int_handler)

class Impatient(logging.Handler):
    """Sends the signal again and again from the monitor's first report on, until the builder gives up."""

    sending = False

    def emit(self, record):
        if "BuildCanceled" in record.getMessage():
            self.sending = False
            print("builder canceled")
        if "Building engine" in record.getMessage():
            self.sending = True
        if self.sending:
            os.kill(os.getpid(), number)

logger = logging.getLogger("lnlattennet")
logger.setLevel(1)
logger.addHandler(Impatient())
folder = pathlib.Path(sys.argv[1])
graph = write_graph(folder / "model.onnx", "fp32", convolutions=300)
try:
    tensorrt.build(graph, spec_for(folder))
except KeyboardInterrupt:
    print("KeyboardInterrupt")
'''


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_a_build_and_leave_nothing(number: signal.Signals, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_BUILD, str(tmp_path), str(int(number))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert result.stdout.split("\n") == ["builder canceled", "KeyboardInterrupt", ""], result.stderr
    assert result.returncode == 0
    assert result.stderr == ""
    assert not list(tmp_path.glob("*.plan"))


def run_build(work: Callable[[], T]) -> T:
    """Let ``work`` stand for the builder."""
    trt = pytest.importorskip("tensorrt_rtx")
    return tensorrt_progress.build_with_progress(trt, SimpleNamespace(), work)


@pytest.fixture
def stopping() -> Iterator[list[int]]:
    """Signals as they reach handlers of the caller's own."""
    reached: list[int] = []

    def handler(number: int, _: object) -> None:
        reached.append(number)
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield reached
    for number, before in earlier.items():
        assert signal.signal(number, before) is handler


def test_signals_reach_the_callers_handler_once_and_after_the_build(stopping: list[int]) -> None:
    during: list[list[int]] = []

    def work() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        time.sleep(0.2)
        during.append(stopping[:])

    with pytest.raises(KeyboardInterrupt):
        run_build(work)
    assert during == [[]]
    assert stopping in ([signal.SIGTERM], [signal.SIGINT])


def test_what_a_build_gives_or_raises_comes_through(stopping: list[int]) -> None:
    assert run_build(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run_build(lambda: 1 // 0)
    assert stopping == []


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_build(lambda: os.kill(os.getpid(), signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, earlier)


def test_any_thread_may_build(stopping: list[int]) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run_build, lambda: 7).result() == 7
    assert stopping == []


@pytest.mark.parametrize("terminal", [True, False])
def test_phases_are_shown_on_a_terminal_only(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=80)
    monkeypatch.setattr(tensorrt_progress, "stderr", console)
    monkeypatch.setattr(tensorrt_progress, "shows_progress", lambda: terminal)
    onnx_path = write_graph(tmp_path / "model.onnx", "fp32", convolutions=60)
    # The caller's own spinner does not get in the way.
    with console.status("building"):
        tensorrt.build(onnx_path, spec_for(tmp_path))
    assert ("Building engine" in screen.getvalue()) == terminal
