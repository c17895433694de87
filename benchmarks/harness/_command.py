"""A command for a bare machine: what `lnlattennet._command` gives, without its terminal packages."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from lnlattennet.errors import INTERRUPTED, LnlAttenNetError


def say(line: str) -> None:
    """Write a line of progress to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code; deliberate errors become one line and their own code."""
    # A plain `kill` unwinds like Ctrl-C, so that nothing half-written or half-started stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = command()
    except LnlAttenNetError as error:
        say(f"error: {error}")
        code = error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    sys.exit(code)
