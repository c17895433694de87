"""A build shows its phases and stops at Ctrl-C."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lnlattennet.export.backends import tensorrt, tensorrt_progress
from tests.export.backends.tensorrt_engines import spec_for
from tests.export.backends.typed_graphs import write_graph

INTERRUPTED_BUILD = '''
import logging, os, pathlib, signal, sys
from tests.export.backends.tensorrt_engines import spec_for
from tests.export.backends.typed_graphs import write_graph
from lnlattennet.export.backends import tensorrt

number = int(sys.argv[2])
signal.signal(number, signal.default_int_handler)

class Impatient(logging.Handler):
    """Sends the signal again and again from the monitor's first report on, until the builder gives up."""

    sending = False

    def emit(self, record):
        if "BuildCanceled" in record.getMessage():
            self.sending = False
            print("builder cancelled")
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
        cwd=Path(__file__).parents[3],
    )
    assert result.stdout.split("\n") == ["builder cancelled", "KeyboardInterrupt", ""], result.stderr
    assert result.returncode == 0
    assert result.stderr == ""
    assert not list(tmp_path.glob("*.plan"))


@pytest.mark.parametrize("terminal", [True, False])
def test_phases_are_shown_on_a_terminal_only(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=80)
    monkeypatch.setattr(tensorrt_progress, "stderr", console)
    onnx_path = write_graph(tmp_path / "model.onnx", "fp32", convolutions=60)
    # The caller's own spinner does not get in the way.
    with console.status("building"):
        tensorrt.build(onnx_path, spec_for(tmp_path))
    assert ("Building engine" in screen.getvalue()) == terminal
