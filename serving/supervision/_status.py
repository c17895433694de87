"""State of a served bundle, for a person, a probe of Kubernetes and Prometheus."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

Phase = Literal["starting", "serving", "failing", "stopping"]
ProbeResult = Literal["right", "busy", "failed"]


@dataclass
class Status:
    """What the supervisor knows; written by its thread, read by those of the health address.

    Attributes:
        phase: "serving" while every public model answers rightly.
        reason: why it is not serving; "" where the phase says all.
        restarts: how often the server was started again.
        model_restarts: name of a Python model -> how often it was started again alone.
        probes: result -> number of probes; "busy" ones have no answer, and no fault either.
        probe_seconds: model -> duration of its last probe.
    """

    phase: Phase = "starting"
    reason: str = ""
    restarts: int = 0
    model_restarts: Counter[str] = field(default_factory=Counter)
    probes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(ProbeResult), 0))
    probe_seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _since: float = field(default_factory=time.monotonic, repr=False)

    def enter(self, phase: Phase, reason: str = "") -> None:
        """Change the phase."""
        with self._lock:
            self.phase, self.reason, self._since = phase, reason, time.monotonic()

    def count_model_restarts(self, models: Collection[str]) -> None:
        """Count new starts of Python models."""
        with self._lock:
            self.model_restarts.update(models)

    def count_probe(self, model: str, seconds: float, result: ProbeResult) -> None:
        """Count a probe."""
        with self._lock:
            self.probes[result] += 1
            self.probe_seconds[model] = seconds

    @property
    def ready(self) -> bool:
        """Whether it answers, and answers rightly."""
        return self.phase == "serving"

    def sentence(self) -> str:
        """Return the phase and its reason on one line."""
        with self._lock:
            return f"{self.phase}: {self.reason}" if self.reason else self.phase

    def copy(self) -> Status:
        """Return what is known at this moment."""
        with self._lock:
            return Status(
                self.phase,
                self.reason,
                self.restarts,
                self.model_restarts.copy(),
                self.probes.copy(),
                self.probe_seconds.copy(),
                _since=self._since,
            )

    @property
    def phase_seconds(self) -> float:
        """Time since the phase changed."""
        return time.monotonic() - self._since
