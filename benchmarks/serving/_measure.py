"""Runs of a load against every target in turn, with every request kept."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.serving._perf_analyzer import Load, PerfAnalyzer, Served
from lnlattennet.serving import LocalPredictor

ONE, EIGHT, POISSON, BURSTS = "one at a time", "8 in flight", "Poisson", "bursts of 4"
_BURST = 4
_SHARE_OF_RATE = 0.5
"""Rate of the timed arrivals over that of the slowest target with one request in flight: no queue grows."""
_LARGE_BYTES, _SHARE_OF_REQUESTS = 500_000, 5
"""Of larger images a fifth of the requests is sent: perf_analyzer's export repeats the image for each."""


@dataclass(frozen=True)
class Target:
    """A served model at an address, or the bundle in this process.

    Attributes:
        name: what tables call it.
        url: ``grpc://host:port`` or ``http://host:port``; "" for this process.
        model: name of the served model.
    """

    name: str
    url: str = ""
    model: str = ""


class Measurement:
    """One record, filled case by case.

    Args:
        record: the record; its facts get the rates.
        targets: what is compared; every case gives each one run a round.
        load_generator: sends the requests.
        predictor: answers in this process.
    """

    def __init__(
        self,
        record: Record,
        targets: Sequence[Target],
        load_generator: PerfAnalyzer,
        predictor: LocalPredictor,
    ) -> None:
        self._record, self._targets = record, targets
        self._load_generator, self._predictor = load_generator, predictor
        self._rates: dict[str, dict[str, list[float]]] = record.facts.setdefault("requests_per_second", {})

    def images(self, images: Mapping[str, bytes], requests: int, rounds: int) -> None:
        """Measure each image with one request at a time."""
        for name, image in images.items():
            self._case(f"{name}, {ONE}", image, Load(ONE, concurrency=1), requests, rounds)

    def arrivals(self, name: str, image: bytes, requests: int, rounds: int) -> None:
        """Measure one image, whose case with one request at a time is there, with the other arrivals."""
        slowest = min(float(np.median(rates)) for rates in self._rates[f"{name}, {ONE}"].values())
        for load in (Load(EIGHT, concurrency=8), *timed_loads(slowest * _SHARE_OF_RATE, requests)):
            self._case(f"{name}, {load.name}", image, load, requests, rounds)

    def _case(self, name: str, image: bytes, load: Load, requests: int, rounds: int) -> None:
        say(name)
        if len(image) > _LARGE_BYTES:
            requests = max(10, requests // _SHARE_OF_REQUESTS)
        latencies: dict[str, list[float]] = {target.name: [] for target in self._targets}
        rates: dict[str, list[float]] = {target.name: [] for target in self._targets}
        for target in _turns(self._targets, rounds):
            served = self._run(target, image, load, requests)
            if served is not None:
                latencies[target.name] += served.latencies
                rates[target.name].append(len(served.latencies) / served.seconds)
        measured = {target: values for target, values in latencies.items() if values}
        self._rates[name] = {target: rates[target] for target in measured}
        gap = float(np.mean(load.gaps_us)) if load.gaps_us else 0.0
        config = {"image_bytes": len(image), "requests": requests, "rounds": rounds, "mean_gap_us": gap}
        self._record.add(ExperimentResult(name, config, warm_results(measured)))

    def _run(self, target: Target, image: bytes, load: Load, requests: int) -> Served | None:
        if target.url:
            return self._load_generator.run(target.url, target.model, image, load, requests)
        return self._here(image, requests) if load.concurrency == 1 else None

    def _here(self, image: bytes, requests: int) -> Served:
        started, latencies = time.perf_counter(), []
        for _ in range(requests):
            before = time.perf_counter()
            self._predictor.predict(image)
            latencies.append(time.perf_counter() - before)
        return Served(latencies, time.perf_counter() - started)


def timed_loads(rate: float, requests: int) -> list[Load]:
    """Return loads of ``rate`` arrivals a second on average: a Poisson process, and bursts.

    Args:
        rate: arrivals a second.
        requests: number of arrivals after which they repeat.
    """
    gap = 1e6 / rate
    poisson = np.random.default_rng(0).exponential(gap, requests)
    bursts = [round(gap * _BURST) if i % _BURST == 0 else 0 for i in range(requests)]
    return [Load(POISSON, gaps_us=[int(value) for value in poisson]), Load(BURSTS, gaps_us=bursts)]


def _turns(targets: Sequence[Target], rounds: int) -> Iterator[Target]:
    """Yield every target once a round, each round in a new random order."""
    order, shuffled = list(targets), random.Random(0)  # noqa: S311 - an order, not a secret
    for _ in range(rounds):
        shuffled.shuffle(order)
        yield from order
