"""State of a served bundle, for a person, a probe of Kubernetes and Prometheus."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["starting", "serving", "failing", "stopping"]


@dataclass
class Status:
    """What the supervisor knows; written by its thread, read by those of the health address.

    Attributes:
        phase: "serving" while every public model answers rightly.
        reason: why it is not serving; "" where the phase says all.
        restarts: how often the server was started again.
        probes: result ("right", "failed") -> number of probes.
        probe_seconds: model -> duration of its last probe.
    """

    phase: Phase = "starting"
    reason: str = ""
    restarts: int = 0
    probes: dict[str, int] = field(default_factory=lambda: {"right": 0, "failed": 0})
    probe_seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _since: float = field(default_factory=time.monotonic, repr=False)

    def enter(self, phase: Phase, reason: str = "") -> None:
        """Change the phase."""
        with self._lock:
            self.phase, self.reason, self._since = phase, reason, time.monotonic()

    def count_probe(self, model: str, seconds: float, right: bool) -> None:
        """Count a probe."""
        with self._lock:
            self.probes["right" if right else "failed"] += 1
            self.probe_seconds[model] = seconds

    @property
    def ready(self) -> bool:
        """Whether it answers, and answers rightly."""
        return self.phase == "serving"

    def sentence(self) -> str:
        """Return the phase and its reason on one line."""
        with self._lock:
            return f"{self.phase}: {self.reason}" if self.reason else self.phase

    def metrics(self) -> str:
        """Return the figures in Prometheus's text format."""
        with self._lock:
            lines = [
                "# HELP lnlattennet_ready Whether every public model answers a known face rightly.",
                "# TYPE lnlattennet_ready gauge",
                f"lnlattennet_ready {int(self.ready)}",
                "# HELP lnlattennet_restarts_total Starts of the server after its first.",
                "# TYPE lnlattennet_restarts_total counter",
                f"lnlattennet_restarts_total {self.restarts}",
                "# HELP lnlattennet_phase_seconds Time since the phase changed.",
                "# TYPE lnlattennet_phase_seconds gauge",
                f'lnlattennet_phase_seconds{{phase="{self.phase}"}} {time.monotonic() - self._since:.3f}',
                "# HELP lnlattennet_probes_total Questions about the known face.",
                "# TYPE lnlattennet_probes_total counter",
                *(f'lnlattennet_probes_total{{result="{name}"}} {n}' for name, n in self.probes.items()),
                "# HELP lnlattennet_probe_seconds Duration of a model's last probe.",
                "# TYPE lnlattennet_probe_seconds gauge",
                *(
                    f'lnlattennet_probe_seconds{{model="{name}"}} {seconds:.6f}'
                    for name, seconds in self.probe_seconds.items()
                ),
            ]
        return "\n".join(lines) + "\n"
