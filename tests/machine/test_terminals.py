"""Terminals and pipes of any width and encoding: no traceback, and nothing that must be typed is cut."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lnlattennet import _console
from lnlattennet._console import Table, shows_progress
from tests.machine.programs import run

PRINT = """
import sys
from lnlattennet._command import run_app
from lnlattennet._console import Table, stdout

def app():
    table = Table("class")
    table.add_row("怒り ☺ é")
    stdout().print(table)
    print("怒り", file=sys.stderr)

run_app(app)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "shift_jis", "utf-16"])
def test_a_name_that_cannot_be_encoded_becomes_question_marks(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    assert ("怒り" if encoding in ("utf-8", "shift_jis", "utf-16") else "??") in shown


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """What is printed does not get into the next file that is opened, and no write fails."""
    file, script = tmp_path / "file", tmp_path / "script.py"
    script.write_text(PRINT.replace("def app():", f"def app():\n    opened = open({str(file)!r}, 'w')"))
    command = ["sh", "-c", f'"$0" -P "$1" {closed}', sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert bool(done.stdout) == (closed in ("2>&-", "<&-"))
    assert file.read_bytes() == b""


def test_no_name_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b]0;title\x07\x1b[31m\x9b2J\u2028b"
    table = Table("image")
    table.add_row(name)
    for console in (_console.stdout(), _console.stderr):
        console.print(table)
        console.print(f"wrote {name}\nin two lines", soft_wrap=True, markup=False, highlight=False)
    for shown in capsys.readouterr():
        assert not set("\x1b\x07\x9b\u2028") & set(shown)
        assert "title" in shown
        assert "b\nin two lines\n" in shown


def test_info_of_a_bundle_with_any_encoding(bundle_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run("lnlattennet", "info", bundle_path, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_names_paths_and_commands_are_whole_at_any_width(width: int) -> None:
    cells = [
        "onnxruntime-fp32",
        "/a/very/long/path/to/the/library.so" * 3,
        "pip install 'tensorrt_rtx==1.7.1.116'",
    ]
    table = Table("engine", "library", "remedy", "other", "more")
    table.add_row(*cells, "x" * 50, "y" * 50)
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    lines = [line.split("│")[1:-1] for line in stream.getvalue().splitlines() if "│" in line]
    columns = ["".join(cell.strip() for cell in column) for column in zip(*lines, strict=True)]
    assert [column.replace(" ", "") for column in columns[:3]] == [cell.replace(" ", "") for cell in cells]
    assert "onnxruntime-fp32" in stream.getvalue()
    assert "…" not in stream.getvalue()


def test_info_and_doctor_cut_nothing_on_80_columns(bundle_path: Path) -> None:
    """On a real terminal."""
    for command in ("info", "doctor"):
        ours, theirs = pty.openpty()
        program = str(Path(sys.executable).with_name("lnlattennet"))
        environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
        with subprocess.Popen(
            [program, command, bundle_path], stdout=theirs, stderr=theirs, env=environment
        ) as process:
            os.close(theirs)
            shown = b""
            while chunk := _read(ours):
                shown += chunk
        os.close(ours)
        assert process.returncode == 0, shown
        assert b"onnxruntime-fp32" in shown
        assert "…" not in shown.decode(), command


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the program has closed it
        return b""


@pytest.mark.parametrize(
    ("level", "terminal", "shown"), [(20, True, True), (30, True, False), (20, False, False)]
)
def test_progress_is_for_terminals_and_not_for_quiet_ones(
    monkeypatch: pytest.MonkeyPatch, level: int, terminal: bool, shown: bool
) -> None:
    monkeypatch.setattr(_console, "stderr", Console(stderr=True, force_terminal=terminal))
    logger = logging.getLogger("lnlattennet")
    monkeypatch.setattr(logger, "level", level)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    assert shows_progress() is shown
