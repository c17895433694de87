"""Exit codes, logging to stderr and one JSON document on stdout: shared by every command.

rich is imported where it is used: it takes half of a command's start-up time.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

from lnlattennet._interrupt import caused_by_interrupt, interrupt_ends_program
from lnlattennet.errors import LnlAttenNetError, UsageError, require

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that would start a new line or control the terminal."""


_CONTROLS_OF_TEXT = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Those that JSON leaves as they are."""

_NUMBERS = re.compile(r"\[\n([^][{}\"]+)\]")
"""A list without texts; its first line end tells it from a part of a text, where line ends are escaped."""


def run_app(app: Callable[[], object]) -> NoReturn:
    """Run a Typer application or a function; a deliberate error becomes one line and its exit code."""
    # A plain `kill` unwinds like Ctrl-C, so that nothing half-written or half-started stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A child process imports nothing of the current folder, whoever starts it (torch, Lightning).
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    _open_closed_streams()
    _replace_what_cannot_be_encoded()
    with interrupt_ends_program():
        _run(app)
    sys.exit(0)


def _run(app: Callable[[], object]) -> None:
    try:
        from lnlattennet.machine._hardware import limit_threads

        _refuse_empty(sys.argv[1:])
        limit_threads()
        app()
    except LnlAttenNetError as error:
        _print_error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`); a second error at interpreter exit would say no more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if caused_by_interrupt(error):
            raise
        # A file that cannot be read, a name that is too long: a traceback would add nothing.
        _print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty argument: as a path it is the current folder, and others are taken for defaults."""
    for before, argument in pairwise(["", *arguments]):
        option, mark, value = argument.partition("=")
        if argument and not (option.startswith("--") and mark and not value):
            continue
        # Only options are repeated: an address may hold a password.
        known = before.partition("=")[0] if before.startswith("-") else ""
        where = f" of {option}" if option else f" after {known}" if known else ""
        raise UsageError(
            f"an argument must not be empty, and that{where} is: is a variable of the shell not set?"
        )


def _open_closed_streams() -> None:
    """Put the null device where standard input, output or error is closed, as in `lnlattennet ... >&-`.

    The next file that a library opens would take the number, and hold what is printed.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _replace_what_cannot_be_encoded() -> None:
    """Let a class name that a terminal or log cannot show become question marks, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _print_error(message: str) -> None:
    logger = logging.getLogger("lnlattennet")
    if any(isinstance(handler, _JsonHandler) for handler in logger.handlers):
        logger.error("%s", message, extra={"event": "error"})
        return
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


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes each record as a JSON object on a line of stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        library = require("pythonjsonlogger.json", "triton")
        names = {"levelname": "level", "name": "logger"}
        form = "%(levelname)s %(name)s %(message)s"
        self.setFormatter(library.JsonFormatter(form, rename_fields=names, timestamp="time"))


def configure_logging(verbose: int, quiet: bool, log_format: str = "text") -> None:
    """Send this package's log to stderr: warnings with -q, progress by default, detail with -v.

    Args:
        verbose: above 0 for detail.
        quiet: only warnings and errors.
        log_format: "text", or "json" for one object a line, the fields of an event among its own.
    """
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler = _JsonHandler()
    elif sys.stderr.isatty():
        from rich.logging import RichHandler

        from lnlattennet._console import stderr

        handler = RichHandler(console=stderr, show_time=False, show_path=False)
    logger = logging.getLogger("lnlattennet")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def print_json(document: dict[str, Any]) -> None:
    """Write the command's one JSON document to stdout."""
    sys.stdout.write(_json_text(document, sys.stdout.encoding) + "\n")
    sys.stdout.flush()


def _json_text(document: dict[str, Any], encoding: str | None) -> str:
    """Return JSON text: each list of numbers on one line, letters unescaped if they can be written."""
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    text = _CONTROLS_OF_TEXT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)


def printable(text: str | Path) -> str:
    """Return a path or argument as text, with U+FFFD in place of bytes that are not UTF-8."""
    return os.fsencode(text).decode(errors="replace")


def counted(count: int, noun: str) -> str:
    """Return a number of things, as in "1 row" and "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def on_one_line(text: str | Path) -> str:
    r"""Return ``printable`` text on one line: a line end is shown as `\n`, an escape as `\x1b`."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], printable(text))
