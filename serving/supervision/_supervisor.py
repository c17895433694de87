"""A server that is watched, and started again when it dies, hangs or answers wrongly."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from lnlattennet.errors import ServingError
from lnlattennet.serving.supervision._filler_requests import filler_requests
from lnlattennet.serving.supervision._hot_swap import HotSwap
from lnlattennet.serving.supervision._known_face import HungServerError, KnownAnswers
from lnlattennet.serving.supervision._status import ProbeResult, Status
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS
from lnlattennet.serving.triton._process import PythonModelError, TritonProcess

_CHECK_SECONDS = 0.25
_CHECKS_PER_PROBE = 4

_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each new start of the server, by the number of recent failures."""
MOST_FAILURES = len(_DELAYS)
WINDOW_SECONDS = 300.0
"""More failures than ``MOST_FAILURES`` in this time mean that starting again does not help."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Keeps a server answering until Ctrl-C.

    Args:
        start: makes the process, to be entered in the thread that calls ``run``.
        status: is kept up to date.
        announce: called when the server answers for the first time.
        swap: follows the active version of the deployment; None serves one version for good.
    """

    def __init__(
        self,
        start: Callable[[], TritonProcess],
        status: Status,
        announce: Callable[[TritonProcess], None],
        swap: HotSwap | None = None,
    ) -> None:
        self._start, self._status, self._announce, self._swap = start, status, announce, swap
        self._answers = KnownAnswers()
        self._failures: deque[float] = deque()

    def run(self) -> None:
        """Serve until an exception, such as KeyboardInterrupt, ends it.

        Raises:
            ServingError: the first start failed, or the server failed again and again.
        """
        self._live(self._announce)
        while True:
            self._live(_announce_again)

    def _live(self, announce: Callable[[TritonProcess], None]) -> None:
        """Start the server, and return when it has to be started again.

        Args:
            announce: called once the server answers.
        """
        answered = bool(self._status.restarts)
        try:
            with self._start() as process:
                try:
                    self._answers.started()
                    self._probe_all(process)
                    self._status.enter("serving")
                    if self._swap is not None:
                        self._swap.started()
                    announce(process)
                    answered = True
                    self._watch(process)
                except KeyboardInterrupt:
                    # Before the requests in flight are waited for.
                    self._status.enter("stopping")
                    raise
        except ServingError as error:
            if not answered:
                raise
            self._before_restart(error)

    def _watch(self, process: TritonProcess) -> None:
        """Return never; raise ServingError when the server has to be started again."""
        while True:
            try:
                self._check(process)
                self._follow(process)
            except PythonModelError as error:
                self._note_failure(error)
                fields = {"event": "restart_models", "models": error.models}
                _log.warning("starting the model %s again", " and ".join(error.models), extra=fields)
                self._status.count_model_restarts(error.models)
                with filler_requests(process.endpoints, error.models):
                    process.restart_models(error)
                self._probe_all(process)
            if not self._status.ready:
                self._status.enter("serving")
                _log.info("the server answers rightly again", extra={"event": "recovered"})

    def _follow(self, process: TritonProcess) -> None:
        if self._swap is not None and (answers := self._swap.follow(process)):
            self._answers = answers

    def _check(self, process: TritonProcess) -> None:
        _look_at_processes(process)
        try:
            self._probe_all(process)
        except (PythonModelError, HungServerError):
            raise
        except ServingError as error:
            self._status.enter("failing", str(error))
            _log.error("%s", error, extra={"event": "failed_probe"})
            # Of a python model's process it takes longer to know that it hangs.
            _look_at_processes(process)
            # Once more: a request may fail for a reason that passes.
            self._probe_all(process)

    def _probe_all(self, process: TritonProcess) -> None:
        for model in PUBLIC_MODELS:
            process.check()
            started = time.monotonic()
            result: ProbeResult = "failed"
            try:
                result = "right" if self._answers.check(process, model) else "busy"
            finally:
                self._status.count_probe(model, time.monotonic() - started, result)

    def _before_restart(self, error: ServingError) -> None:
        """Wait; longer each time."""
        self._note_failure(error)
        delay = _DELAYS[len(self._failures) - 1]
        fields = {"event": "restart", "delay_seconds": delay}
        _log.warning("starting the server again%s", f" in {delay:g} s" if delay else "", extra=fields)
        time.sleep(delay)
        self._status.restarts += 1
        self._status.enter("starting")

    def _note_failure(self, error: ServingError) -> None:
        """Log and count a failure that a new start is to mend.

        Raises:
            ServingError: there were too many in a short time.
        """
        self._status.enter("failing", str(error))
        _log.error("%s", error, extra={"event": "failure", "kind": type(error).__name__})
        now = time.monotonic()
        self._failures.append(now)
        while self._failures[0] < now - WINDOW_SECONDS:
            self._failures.popleft()
        if len(self._failures) > MOST_FAILURES:
            raise ServingError(
                f"the server failed {len(self._failures)} times within {WINDOW_SECONDS:g} s, "
                f"so it is not started again; the last time: {error}"
            ) from error


def _look_at_processes(process: TritonProcess) -> None:
    for _ in range(_CHECKS_PER_PROBE):
        time.sleep(_CHECK_SECONDS)
        process.check()


def _announce_again(process: TritonProcess) -> None:
    _log.info("the server answers again", extra={"event": "ready", "pid": process.pid})
