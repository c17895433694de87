"""Ctrl-C at any moment of a program, its imports included: `interrupted`, exit code 130, no traceback."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

PROGRAMS = {"lnlattennet": "lnlattennet", "export-engine": "export_engine"}

INTERRUPTED_IMPORT = """
import os, signal, sys
from lnlattennet import _programs

class Interrupt:
    def find_spec(name, path, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt)
module, program, *sys.argv = sys.argv[1:]
getattr(_programs, program)()
"""


def interrupted(module: str, program: str, *arguments: str) -> tuple[int, str, str]:
    """Run a program that gets SIGINT when it imports ``module``."""
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, module, program, program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("module", ["lnlattennet._command", "typer", "lnlattennet.machine._hardware"])
@pytest.mark.parametrize("program", PROGRAMS.values())
def test_while_a_program_is_imported(program: str, module: str) -> None:
    assert interrupted(module, program) == (130, "", "interrupted\n")


def test_while_a_command_is_imported() -> None:
    """Typer makes an exit code of it, and says nothing."""
    ended = interrupted("lnlattennet.bundle._cli", "lnlattennet", "info", "nothing")
    assert ended == (130, "", "interrupted\n")


def test_the_console_scripts_start_there() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    expected = {script: f"lnlattennet._programs:{name}" for script, name in PROGRAMS.items()}
    assert project["project"]["scripts"] == expected
    assert all(hasattr(import_module("lnlattennet._programs"), name) for name in PROGRAMS.values())
