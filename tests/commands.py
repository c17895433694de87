"""Calls of the commands in this process: what a console script does, without its start of two seconds."""

from __future__ import annotations

import contextlib
import io
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import restored_logging


def call(
    main: Callable[[], object], program: str, *arguments: object, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Call a console script's entry point in ``folder``; returns its exit code, stdout and stderr."""
    command = [program, *map(str, arguments)]
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        restored_logging(),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr(sys, "argv", command)
        patch.chdir(folder or Path.cwd())
        code = _exit_code(main)
    return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


def call_module(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Do in this process what `python -m module` does."""
    with pytest.MonkeyPatch.context() as patch:
        # runpy warns of a module that is imported already.
        patch.delitem(sys.modules, f"{module}.__main__", raising=False)
        return call(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True), module, *arguments)


def _exit_code(main: Callable[[], object]) -> int:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        signal.signal(signal.SIGTERM, handler)
    raise AssertionError("a command ends with its exit code")
