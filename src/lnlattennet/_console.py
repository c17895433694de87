"""Consoles for human-readable output on stderr and stdout."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import rich.table
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

_log = logging.getLogger(__name__)

STATUS_TOOK = "%s: %.1f s"
"""Message of the log, at level DEBUG, with the text of a status and its seconds."""

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that steer a terminal: names of files and of classes may hold them."""


class _Harmless(RenderHook):
    """Replaces what would steer the terminal in everything that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_WithoutControls(renderable) for renderable in renderables]


class _WithoutControls:
    def __init__(self, content: ConsoleRenderable) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._content, options):
            text = (
                segment.text if segment.control else _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", segment.text)
            )
            yield Segment(text, segment.style, segment.control)


def _console(**settings: Any) -> Console:
    console = Console(**settings)
    console.push_render_hook(_Harmless())
    return console


stderr = _console(stderr=True)
"""Console of logs and progress; stdout is for results."""


def stdout() -> Console:
    """Return a console on stdout; without a terminal its lines have 160 columns instead of 80."""
    width = None if sys.stdout.isatty() else 160
    return _console(width=width, highlight=False, markup=False)


def shows_progress() -> bool:
    """Return whether progress bars are wanted: on a terminal, unless -q asked for warnings only."""
    return stderr.is_terminal and logging.getLogger("lnlattennet").isEnabledFor(logging.INFO)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a spinner with a text for the length of a ``with`` block, where progress is shown.

    The duration of a block that ended well is logged as ``STATUS_TOOK``, for ``-v`` and for benchmarks.
    """
    start = time.perf_counter()
    with stderr.status(text) if shows_progress() else nullcontext():
        yield
    _log.debug(STATUS_TOOK, text, time.perf_counter() - start)


@contextmanager
def progress(activity: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar where progress is shown; yield the function that advances it by a number of items."""
    from rich.progress import Progress

    with Progress(console=stderr, transient=True, disable=not shows_progress()) as bars:
        bar = bars.add_task(activity, total=total)
        yield lambda count: bars.advance(bar, count)


class Table(rich.table.Table):
    """A table that breaks what does not fit and cuts nothing: names and commands in it are typed again."""

    def add_row(self, *cells: Any, **settings: Any) -> None:
        """Add a row; a cell is text or anything that rich prints."""
        super().add_row(*cells, **settings)
        for column in self.columns:
            column.overflow = "fold"
            # The name of an engine is an argument of other commands.
            column.no_wrap = column.header == "engine"


def readable(value: Any) -> str:
    """Return a JSON value as text: an object's fields one a line, those of an object in it indented."""
    if isinstance(value, dict):
        return "\n".join(f"{name}:{_behind_colon(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(readable, value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _behind_colon(value: Any) -> str:
    text = readable(value)
    if value and isinstance(value, dict):
        return "".join(f"\n  {line}" for line in text.split("\n"))
    return f" {text}"
