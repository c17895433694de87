"""A known face, and whether a server still gives the answer that it gave at first."""

from __future__ import annotations

import time
from functools import cache
from importlib import resources

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import OverloadedError, ServingError
from lnlattennet.serving.triton._health import probe_model, rounded, same_answer
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._server_api import answered_requests

PROBE_SECONDS = 3.0
"""Time in which a probe must be answered, unless the server is busy with other requests."""

PATIENCE_SECONDS = 60.0
"""Time in which a server that computes must answer a probe, refuse it, or answer another request."""

_BUSY_SHARE = 0.2
"""Of one core: a server that uses more is busy; one that hangs uses nothing."""

_HUNG_SECONDS = 1.0
"""Time without CPU time and without an answer about counters, which takes a millisecond, of a hung server."""

_PAUSE_SECONDS = 0.1
"""Between two questions before the first answer."""


class WrongAnswerError(ServingError):
    """A model's answer for the known face is not the one that it gave at first."""


class HungServerError(ServingError):
    """The server neither answers nor computes: nothing passes by waiting."""


@cache
def known_face() -> bytes:
    """Return a JPEG file of one rendered face."""
    return (resources.files("lnlattennet.serving.supervision") / "known-face.jpg").read_bytes()


class KnownAnswers:
    """The first answer of every model for the known face, and comparisons with it."""

    def __init__(self) -> None:
        self._first: dict[str, Prediction] = {}
        self._busy_since: dict[str, float] = {}

    def started(self) -> None:
        """Note a new start of the server: it may be busy as long as any other."""
        self._busy_since.clear()

    def check(self, process: TritonProcess, model: str) -> bool:
        """Ask a model about the known face; until its first answer, again and again.

        Returns:
            Whether it answered; False if it is only busy, which passes, for a while.

        Raises:
            WrongAnswerError: its answer differs from its first one.
            HungServerError: the server does nothing at all.
            ServingError: it gave none.
        """
        deadline = time.monotonic() + process.startup_timeout
        while not (answered := self._ask(process, model)) and model not in self._first:
            if time.monotonic() > deadline:
                raise ServingError(
                    f"model {model} was too busy to answer a known face within {process.startup_timeout:g} s "
                    "of its start; allow more with --startup-timeout, or start it with fewer requests"
                )
            time.sleep(_PAUSE_SECONDS)
            process.check()
        return answered

    def _ask(self, process: TritonProcess, model: str) -> bool:
        started, cpu, alone = time.monotonic(), process.cpu_seconds(), process.cpu_seconds(models=False)
        count = answered_requests(process.endpoints, model)
        waited = time.monotonic() - started
        if count < 0 and waited > _HUNG_SECONDS and process.cpu_seconds(models=False) == alone:
            raise HungServerError(f"the server hangs: it neither answered nor computed for {waited:.1f} s")
        try:
            prediction = probe_model(process.endpoints.grpc, model, known_face(), PROBE_SECONDS)
        except OverloadedError:
            self._busy_since.pop(model, None)
            return False
        except ServingError:
            if time.monotonic() - started < PROBE_SECONDS:
                raise
            # Out of time. A long queue, or one very large request, is no reason to lose what waits.
            if answered_requests(process.endpoints, model) > count >= 0:
                self._busy_since.pop(model, None)
                return False
            since = self._busy_since.setdefault(model, started)
            if time.monotonic() - since > PATIENCE_SECONDS or not _computes(process, cpu):
                raise
            return False
        self._busy_since.pop(model, None)
        self._compare(model, prediction)
        return True

    def _compare(self, model: str, prediction: Prediction) -> None:
        first = self._first.setdefault(model, prediction)
        if not same_answer(prediction, first):
            raise WrongAnswerError(
                f"model {model} answers a known face with {rounded(prediction)}, and with {rounded(first)} "
                "when it started"
            )


def _computes(process: TritonProcess, cpu: float) -> bool:
    # On a machine that is busy with something else, its processes wait for a core.
    return process.cpu_seconds() - cpu > _BUSY_SHARE * PROBE_SECONDS or process.has_work()
