"""Load on a running server: some requests always in flight, each answer checked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ServingError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.triton._health import rounded, same_answer

_WARM_UP_SHARE = 0.2
"""Of the measured time: what is sent before it is not counted."""

LOAD_SHARE = 1 + _WARM_UP_SHARE
"""Duration of a stretch of load over the time that is measured."""


@dataclass(frozen=True)
class Sample:
    """What one stretch of load gave.

    Attributes:
        in_flight: requests in flight at once.
        seconds: how long it took.
        latencies_ms: of every request, in milliseconds.
    """

    in_flight: int
    seconds: float
    latencies_ms: list[float]

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.latencies_ms) / self.seconds


def put_load(url: str, image: bytes, expected: Prediction, in_flight: int, seconds: float) -> Sample:
    """Keep some requests about one image in flight for a while.

    Args:
        url: gRPC address of the server.
        image: an encoded image.
        expected: the bundle's own answer about it.
        in_flight: requests in flight at once: each is sent when the one before was answered.
        seconds: how long.

    Raises:
        ServingError: a request failed, or its answer is not the bundle's.
    """
    return asyncio.run(_put_load(url, image, expected, in_flight, seconds))


async def _put_load(url: str, image: bytes, expected: Prediction, in_flight: int, seconds: float) -> Sample:
    async with AsyncClient(url) as client:
        await _send(client, image, expected, in_flight, seconds * _WARM_UP_SHARE)
        started = time.perf_counter()
        latencies = await _send(client, image, expected, in_flight, seconds)
        return Sample(in_flight, time.perf_counter() - started, latencies)


async def _send(
    client: AsyncClient, image: bytes, expected: Prediction, in_flight: int, seconds: float
) -> list[float]:
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        while (started := time.perf_counter()) < end:
            prediction = await client.predict(image)
            latencies.append(1e3 * (time.perf_counter() - started))
            check_answer(prediction, expected)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(one_after_the_other())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return latencies


def check_answer(prediction: Prediction, expected: Prediction) -> None:
    """Compare a served answer with the bundle's own.

    Raises:
        ServingError: a probability differs.
    """
    if not same_answer(prediction, expected):
        raise ServingError(
            f"the server answers with {rounded(prediction)}, and the bundle in this process with "
            f"{rounded(expected)}"
        )
