"""Ctrl-C ends every program alike: one word on stderr and exit code 130."""

from __future__ import annotations

import signal
import sys
import threading
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


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM interrupt at the end of the block, not within it; for short blocks.

    A future that is interrupted within may keep its lock, and the end of its pool waits for that forever.
    """
    # Interrupts reach the main thread alone.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: while a C extension loads, it becomes an ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
