"""Consoles for people on stderr and stdout."""

from __future__ import annotations

import sys

from rich.console import Console

stderr = Console(stderr=True)
"""Logs, tables for people and progress go here; stdout is for results."""


def stdout() -> Console:
    """Return a console for people on stdout; without a terminal its lines are wide, not cut at 80."""
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, markup=False)
