"""Runs of a load against every target in turn, with every request kept."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.serving._perf_analyzer import Load, Served
from lnlattennet.serving import LocalPredictor

ONE, EIGHT, POISSON, BURSTS = "one at a time", "8 in flight", "Poisson", "bursts of 4"
_BURST = 4
_SHARE_OF_RATE = 0.5
"""Rate of the timed arrivals over that of the slowest target with one request in flight: no queue grows."""
_FOR_A_RATE = 4
"""Times as many requests with eight in flight, of which the first and the last wait for fewer others."""
_LARGE_BYTES, _SHARE_OF_REQUESTS = 500_000, 5
"""Of larger images a fifth of the requests is sent: perf_analyzer's export repeats the image for each."""


@dataclass(frozen=True)
class Target:
    """What answers requests: a served model, or the bundle without a server.

    Attributes:
        name: what tables call it.
        run: sends an image with a load, so many times; None if the load means nothing without a server.
    """

    name: str
    run: Callable[[bytes, Load, int], Served | None]


class Measurement:
    """One record, filled case by case.

    Args:
        record: the record; its facts get the rates.
        targets: what is compared; every case gives each one run a round.
    """

    def __init__(self, record: Record, targets: Sequence[Target]) -> None:
        self._record, self._targets = record, targets
        self._rates: dict[str, dict[str, list[float]]] = record.facts.setdefault("requests_per_second", {})

    def images(self, images: Mapping[str, bytes], requests: int, rounds: int) -> None:
        """Measure each image with one request at a time."""
        for name, image in images.items():
            self._case(f"{name}, {ONE}", image, Load(ONE, concurrency=1), requests, rounds)

    def arrivals(self, name: str, image: bytes, requests: int, rounds: int) -> None:
        """Measure one image, whose case with one request at a time is there, with the other arrivals."""
        slowest = min(float(np.median(rates)) for rates in self._rates[f"{name}, {ONE}"].values())
        self._case(f"{name}, {EIGHT}", image, Load(EIGHT, concurrency=8), _FOR_A_RATE * requests, rounds)
        for load in timed_loads(slowest * _SHARE_OF_RATE, requests):
            self._case(f"{name}, {load.name}", image, load, requests, rounds)

    def _case(self, name: str, image: bytes, load: Load, requests: int, rounds: int) -> None:
        say(name)
        if len(image) > _LARGE_BYTES:
            requests = max(10, requests // _SHARE_OF_REQUESTS)
        latencies: dict[str, list[float]] = {target.name: [] for target in self._targets}
        rates: dict[str, list[float]] = {target.name: [] for target in self._targets}
        for target in _turns(self._targets, rounds):
            served = target.run(image, load, requests)
            if served is not None:
                latencies[target.name] += served.latencies
                rates[target.name].append(len(served.latencies) / served.seconds)
        measured = {target: values for target, values in latencies.items() if values}
        self._rates[name] = {target: rates[target] for target in measured}
        gap = float(np.mean(load.gaps_us)) if load.gaps_us else 0.0
        config = {"image_bytes": len(image), "requests": requests, "rounds": rounds, "mean_gap_us": gap}
        self._record.add(ExperimentResult(name, config, warm_results(measured)))


def predict_here(predictor: LocalPredictor, image: bytes, load: Load, requests: int) -> Served | None:
    """Predict an image in this process, one request after the other; None for any other load."""
    if load.concurrency != 1:
        return None
    started, latencies = time.perf_counter(), []
    for _ in range(requests):
        before = time.perf_counter()
        predictor.predict(image)
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
    order, shuffled = list(targets), random.Random()  # noqa: S311 - an order, not a secret
    for _ in range(rounds):
        shuffled.shuffle(order)
        yield from order
