"""Exit codes, logging to stderr and one JSON document on stdout: the frame of every command.

rich is imported where it is used: it is half of what starting a command takes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lnlattennet.errors import INTERRUPTED, LnlAttenNetError

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that would start a new line or control the terminal."""


def run_app(app: Callable[[], object]) -> NoReturn:
    """Run a Typer application or a function; a deliberate error becomes one line and its exit code."""
    # A plain `kill` unwinds like Ctrl-C, so that nothing half-written or half-started stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except LnlAttenNetError as error:
        _print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`); a second error at interpreter exit helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A file that cannot be read, a name that is too long: nothing that a traceback would explain.
        if caused_by_interrupt(error):
            sys.exit(INTERRUPTED)
        _print_error(_format_os_error(error))
        sys.exit(1)
    except Exception as error:
        if not caused_by_interrupt(error):
            raise
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _print_error(message: str) -> None:
    # A message may have lines; a name in it must not steer the terminal.
    text = "\n".join(map(on_one_line, message.split("\n")))
    try:
        from rich.text import Text

        from lnlattennet._console import stderr
    except ImportError:
        # The benchmarks run on machines that have torch and little else.
        sys.stderr.write(f"error: {text}\n")
        return
    stderr.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)


def _format_os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C lies behind an error: one that arrives while a C extension loads becomes ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def configure_logging(verbose: int, quiet: bool) -> None:
    """Send this package's log to stderr: warnings with -q, progress by default, detail with -v."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = _terminal_handler() if sys.stderr.isatty() else logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("lnlattennet")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def print_json(document: dict[str, Any]) -> None:
    """Write the command's one JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


def _terminal_handler() -> logging.Handler:
    from rich.logging import RichHandler

    from lnlattennet._console import stderr

    return RichHandler(console=stderr, show_time=False, show_path=False)


def printable(text: str | Path) -> str:
    """Return a path or argument as text; bytes of it that are no text become question marks."""
    return os.fsencode(text).decode(errors="replace")


def on_one_line(text: str | Path) -> str:
    r"""Return ``printable`` text for people: a line end is shown as `\n`, an escape as `\x1b`."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], printable(text))
