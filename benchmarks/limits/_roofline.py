"""The limits of a machine in a record, and the shares of them that engines reach.

The roofline bound: Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009. At the best rates that were
measured no layer takes less than its operations at the rate of its precision, nor less than its bytes at the
bandwidth of where they fit. An engine exceeds them by a shape that none of the limits has, or by fewer
operations than the network has.

Rates and shares are those of the fastest tenth of the calls: what else a machine does makes calls slower and
never faster, and McCalpin's STREAM reports its best run for this reason. Medians stand beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet.benchmarks.harness._record import WARM
from lnlattennet.benchmarks.limits._entries import ITEM_BYTES, Layer, Limit

MEMORY, CACHE = "memory", "cache"
Rows = list[list[str]]


@dataclass(frozen=True)
class Point:
    """An engine at a batch size.

    Attributes:
        engine: its name.
        precision: the fastest of its plan.
        batch: images of a call.
        seconds: time of a call that a tenth of the calls do not exceed.
        median: median of the calls, in seconds.
        flops: operations of a call.
        moved: bytes of a call: weights, and what layers read and write.
        bound: the least seconds that the machine's limits allow.
        starved: layers for which that is a matter of bandwidth.
    """

    engine: str
    precision: str
    batch: int
    seconds: float
    median: float
    flops: int
    moved: int
    bound: float
    starved: int


class Roofline:
    """What a record of the benchmark says, as its JSON document has it."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._cases = record["cases"]
        self.limits = [Limit(**limit) for limit in record["limits"]]
        self.layers = [Layer(**layer) for layer in record["layers"]]
        self.rates = self._best_rates()
        self._cache_bytes = max(limit.work for limit in self.limits if limit.kind == CACHE)
        self.points = [
            self._point(case, name, plan) for name, plan in record["engines"].items() for case in self._cases
        ]

    def _samples(self, limit: Limit) -> list[float]:
        """Return the microseconds of all calls, beside whatever batch size of the engines."""
        return list(itertools.chain.from_iterable(_samples(case, limit.candidate) for case in self._cases))

    def _best_rates(self) -> dict[str, float]:
        """Return kind -> bytes or operations a second of the fastest candidate."""
        rates: dict[str, float] = {}
        for limit in self.limits:
            rate = limit.work / _fast(self._samples(limit)) * 1e6
            rates[limit.kind] = max(rate, rates.get(limit.kind, 0.0))
        return rates

    def _point(self, case: Mapping[str, Any], name: str, plan: Mapping[str, str]) -> Point:
        batch, samples = case["config"]["batch"], _samples(case, name)
        bounds = [self.least_seconds(layer, plan[layer.block], batch) for layer in self.layers]
        return Point(
            engine=name,
            precision=max(plan.values(), key=lambda precision: -ITEM_BYTES[precision]),
            batch=batch,
            seconds=_fast(samples) / 1e6,
            median=float(np.median(samples)) / 1e6,
            flops=batch * sum(layer.flops for layer in self.layers),
            moved=sum(layer.moved_bytes(plan[layer.block], batch) for layer in self.layers),
            bound=sum(map(max, bounds)),
            starved=sum(moving > computing for computing, moving in bounds),
        )

    def least_seconds(self, layer: Layer, precision: str, batch: int) -> tuple[float, float]:
        """Return what a layer's operations and its bytes take at the best rates."""
        size = layer.moved_bytes(precision, batch)
        bandwidth = self.rates[CACHE if size <= self._cache_bytes else MEMORY]
        return batch * layer.flops / self.rates[precision], size / bandwidth

    def limit_rows(self) -> Rows:
        """Return a row for each limit, with a column for each number of threads."""
        counts = sorted({limit.threads for limit in self.limits})
        rows = [["limit", *(f"{count} thread{'s' * (count != 1)}" for count in counts)]]
        for name in dict.fromkeys(limit.name for limit in self.limits):
            by_threads = {limit.threads: limit for limit in self.limits if limit.name == name}
            unit = "GB/s" if by_threads[counts[0]].kind in (MEMORY, CACHE) else "GFLOP/s"
            rows.append([f"{name}, {unit}", *(self._rate(by_threads[count]) for count in counts)])
        return rows

    def _rate(self, limit: Limit) -> str:
        samples = self._samples(limit)
        best, median = (limit.work / 1e3 / value for value in (_fast(samples), np.median(samples)))
        return f"{best:.1f} (median {median:.1f})"

    def engine_rows(self) -> Rows:
        """Return a row for each engine and batch size, with its shares of the limits."""
        rows = [["engine", "batch", "median, ms", "fast, ms", "GFLOP/s", "share of the rate of its precision",
                 "roofline bound, ms", "share of the bound", "layers bound by bandwidth"]]  # fmt: skip
        for point in self.points:
            rate = point.flops / point.seconds
            rows.append([
                point.engine, str(point.batch), f"{1e3 * point.median:.2f}",
                f"{1e3 * point.seconds:.2f}", f"{rate / 1e9:.1f}",
                f"{rate / self.rates[point.precision]:.0%} of {point.precision}", f"{1e3 * point.bound:.2f}",
                f"{point.bound / point.seconds:.0%}", f"{point.starved} of {len(self.layers)}",
            ])  # fmt: skip
        return rows

    def layer_rows(self) -> Rows:
        """Return a row for each layer: its operations and bytes an image, as float32."""
        rows = [["layer", "MFLOP", "share", "weights, kB", "activations, kB", "FLOP per byte"]]
        total = sum(layer.flops for layer in self.layers)
        for layer in self.layers:
            weights, activations = 4 * layer.weights, 4 * layer.activations
            rows.append([
                layer.name, f"{layer.flops / 1e6:.2f}", f"{layer.flops / total:.1%}", f"{weights / 1e3:.1f}",
                f"{activations / 1e3:.1f}", f"{layer.flops / (weights + activations):.1f}",
            ])  # fmt: skip
        return rows


def _samples(case: Mapping[str, Any], candidate: str) -> Sequence[float]:
    samples: Sequence[float] = case["candidates"][candidate]["timings"][WARM]["samples_us"]
    return samples


def _fast(samples: Sequence[float]) -> float:
    return float(np.percentile(samples, 10))
