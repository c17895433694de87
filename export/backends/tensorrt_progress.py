"""A TensorRT build shows its phases on a terminal and can be stopped with Ctrl-C."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, TypeVar

from rich.progress import Progress, TaskID

from lnlattennet.command import stderr

T = TypeVar("T")
_log = logging.getLogger(__name__)


def build_with_progress(trt: ModuleType, config: Any, build: Callable[[], T]) -> T:
    """Run ``build``, which uses ``config``; its phases are bars on stderr if that is a terminal.

    A KeyboardInterrupt is raised only after the builder has returned.
    """
    cancelled = threading.Event()
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bars:
        config.progress_monitor = _monitor(trt, _Phases(bars, cancelled))
        return _interruptibly(build, cancelled)


def _interruptibly(work: Callable[[], T], cancelled: threading.Event) -> T:
    # TensorRT swallows a KeyboardInterrupt that is raised inside its callbacks, and C++ hears of no signal.
    # So the builder gets a thread of its own, and this one is free to receive Ctrl-C.
    with ThreadPoolExecutor(1, thread_name_prefix="tensorrt") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            cancelled.set()
            raise


class _Phases:
    """The phases that are open, each a bar; TensorRT may report them from several threads."""

    def __init__(self, bars: Progress, cancelled: threading.Event) -> None:
        self._bars = bars
        self._cancelled = cancelled
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def start(self, name: str, steps: int) -> None:
        _log.debug("TensorRT: %s, %d steps", name, steps)
        with self._lock:
            self._tasks[name] = self._bars.add_task(name, total=steps)

    def advance(self, name: str, step: int) -> bool:
        """Show that ``step`` is done; return whether to go on."""
        with self._lock:
            if name in self._tasks:
                self._bars.update(self._tasks[name], completed=step + 1)
        return not self._cancelled.is_set()

    def finish(self, name: str) -> None:
        with self._lock:
            task = self._tasks.pop(name, None)
            if task is not None:
                self._bars.remove_task(task)


def _monitor(trt: ModuleType, phases: _Phases) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return phases.advance(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    return Monitor()
