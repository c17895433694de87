"""Consoles for human-readable output on stderr and stdout."""

from __future__ import annotations

import sys

from rich.console import Console

stderr = Console(stderr=True)
"""Console of logs and progress; stdout is for results."""


def stdout() -> Console:
    """Return a console on stdout; without a terminal its lines have 160 columns instead of 80."""
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, markup=False)
