"""Ctrl-C ends every program alike: one word on stderr and exit code 130."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lnlattennet.errors import INTERRUPTED


@contextmanager
def interrupt_ends_program() -> Iterator[None]:
    """Turn Ctrl-C, and what libraries make of it, into `interrupted` on stderr and its exit code."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, Exception) as error:
        # Typer exits with this code and prints nothing; any other exit is the program's answer to Ctrl-C.
        other_exit = isinstance(error, SystemExit) and error.code != INTERRUPTED
        if other_exit or not caused_by_interrupt(error):
            raise
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: while a C extension loads, it becomes an ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
