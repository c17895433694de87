"""What the supervisor knows, as metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lnlattennet.serving.supervision._status import Status


def status_metrics(status: Status) -> CollectorRegistry:
    """Return a registry whose metrics follow a status."""
    registry = CollectorRegistry()
    registry.register(_StatusMetrics(status))
    return registry


class _StatusMetrics(Collector):
    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        now = self._status.copy()
        yield GaugeMetricFamily(
            "lnlattennet_ready",
            "Whether every public model answers a known face rightly.",
            value=now.ready,
        )
        phase = GaugeMetricFamily(
            "lnlattennet_phase_seconds", "Time since the phase changed.", labels=["phase"]
        )
        phase.add_metric([now.phase], now.phase_seconds)
        yield phase
        yield CounterMetricFamily(
            "lnlattennet_restarts", "Starts of the server after its first.", value=now.restarts
        )
        yield _counter(
            "lnlattennet_model_restarts", "New starts of a Python model.", "model", now.model_restarts
        )
        yield _counter("lnlattennet_probes", "Questions about the known face.", "result", now.probes)
        seconds = GaugeMetricFamily(
            "lnlattennet_probe_seconds", "Duration of a model's last probe.", labels=["model"]
        )
        for model, duration in now.probe_seconds.items():
            seconds.add_metric([model], duration)
        yield seconds


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
