"""Progress of a TensorRT build on a terminal, and its interruption with Ctrl-C."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, TypeVar

from rich.progress import Progress, TaskID

from lnlattennet._console import shows_progress, stderr

T = TypeVar("T")
_log = logging.getLogger(__name__)


def build_with_progress(trt: ModuleType, config: Any, build: Callable[[], T]) -> T:
    """Run ``build``, which uses ``config``; its phases are bars on stderr if that is a terminal.

    Ctrl-C or SIGTERM cancels the build; its handler (KeyboardInterrupt) runs once the builder has returned,
    however many more arrive meanwhile.
    """
    canceled = threading.Event()
    with Progress(console=stderr, transient=True, disable=not shows_progress()) as bars:
        config.progress_monitor = _monitor(trt, bars, canceled)
        # TensorRT swallows what is raised inside its callbacks, and C++ receives no signals. So the builder
        # gets a thread of its own, and this one is free to receive them.
        with ThreadPoolExecutor(1, thread_name_prefix="tensorrt") as pool, _signals_deferred(canceled):
            return pool.submit(build).result()


@contextmanager
def _signals_deferred(canceled: threading.Event) -> Iterator[None]:
    """A signal that would stop the command sets ``canceled``; its handler runs at the end of the block.

    An exception at once would do for the first Ctrl-C. A second one would end the wait for the builder, whose
    callbacks then enter an interpreter that is going down, and that aborts the process.
    """
    earlier = _stopping_handlers()
    arrived: list[int] = []
    deferring = True

    def defer(number: int, frame: FrameType | None) -> None:
        if deferring:
            arrived.append(number)
            canceled.set()
        else:
            # An exception of another signal ended the loop below before it put this one's handler back.
            earlier[number](number, frame)

    try:
        for number in earlier:
            signal.signal(number, defer)
        yield
    finally:
        deferring = False
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if arrived:
            earlier[arrived[0]](arrived[0], None)


def _stopping_handlers() -> dict[int, Callable[[int, FrameType | None], object]]:
    """Return the handlers of Ctrl-C and SIGTERM; none in other threads, which get no signals."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in handlers.items() if callable(handler)}


def _monitor(trt: ModuleType, bars: Progress, canceled: threading.Event) -> Any:
    """Return a monitor with a bar for each open phase; TensorRT may call it from several threads."""
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            _log.debug("TensorRT: %s, %d steps", phase_name, num_steps)
            with lock:
                tasks[phase_name] = bars.add_task(phase_name, total=num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with lock:
                if phase_name in tasks:
                    bars.update(tasks[phase_name], completed=step + 1)
            return not canceled.is_set()  # whether the builder goes on

        def phase_finish(self, phase_name: str) -> None:
            with lock:
                if phase_name in tasks:
                    bars.remove_task(tasks.pop(phase_name))

    return Monitor()
