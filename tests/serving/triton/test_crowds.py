"""More clients than the real server can answer, slow ones and ones that leave: the others are answered."""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from lnlattennet.errors import OverloadedError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess

CROWD = 400
"""Requests at once, above the 128 that may wait."""

SLOW_CLIENTS = 250
"""On each port."""

PATIENCE_SECONDS = 60
"""Far more than a server takes to come to rest: a test does not judge time."""

TRANSPORTS = ["grpc", "http"]


def pending(server: TritonProcess) -> int:
    with urllib.request.urlopen(server.endpoints.metrics) as answer:  # noqa: S310 - of this machine
        lines = answer.read().decode().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("nv_inference_pending_request"))


def open_files(server: TritonProcess) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


@contextmanager
def comes_to_rest(server: TritonProcess, transport: str) -> Iterator[Any]:
    """Yield an answer, and check afterwards that it is the same, and that nothing waits or stays open."""
    files = open_files(server)
    expected = asked(server, transport)
    yield expected
    deadline = time.monotonic() + PATIENCE_SECONDS
    while pending(server) or open_files(server) > files + 4:
        assert time.monotonic() < deadline, (pending(server), open_files(server), files)
        time.sleep(0.1)
    assert_same(asked(server, transport), expected)


def asked(server: TritonProcess, transport: str) -> Any:
    with Client(getattr(server.endpoints, transport), timeout=PATIENCE_SECONDS) as client:
        return client.predict(known_face())


def assert_same(answer: Any, expected: Any) -> None:
    np.testing.assert_allclose(answer.logits, expected.logits, atol=1e-4)


async def crowd(url: str, size: int = CROWD, canceled: int = 0) -> list[Any]:
    """Ask by many requests at once, and return the answers and errors of those that are not canceled."""
    async with AsyncExitStack() as stack:
        # Over HTTP, one client has at most 100 connections.
        clients = [
            await stack.enter_async_context(AsyncClient(url, timeout=PATIENCE_SECONDS)) for _ in range(4)
        ]
        batch = [known_face()] * 4
        tasks = [asyncio.create_task(clients[number % 4].predict(batch)) for number in range(size)]
        # Let them be sent.
        await asyncio.sleep(0.05)
        for task in tasks[:canceled]:
            task.cancel()
        answers: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    return answers[canceled:]


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_full_queue_is_told_as_overload(server: TritonProcess, transport: str) -> None:
    with comes_to_rest(server, transport) as expected:
        answers = asyncio.run(crowd(getattr(server.endpoints, transport)))
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert {type(error) for error in refused} == {OverloadedError}, refused
        assert any("maximum queue size" in str(error) for error in refused)
        right = [answer for answer in answers if not isinstance(answer, Exception)]
        assert right
        for answer in right:
            assert_same(answer[-1], expected)


@pytest.mark.slow
def test_what_waits_beyond_its_timeout_is_refused(server: TritonProcess) -> None:
    tensor = triton.InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[known_face()]], np.object_))

    def hurried() -> None:
        with triton.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
            client.infer("expression", [tensor], timeout=1)

    async def ask() -> list[Any]:
        others = asyncio.create_task(crowd(server.endpoints.grpc, size=60))
        while not (pending(server) or others.done()):
            await asyncio.sleep(0.01)
        with pytest.raises(triton.InferenceServerException, match="Request timeout expired") as caught:
            await asyncio.to_thread(hurried)
        assert caught.value.status() == "StatusCode.UNAVAILABLE"
        return await others

    with comes_to_rest(server, "grpc") as expected:
        for answer in asyncio.run(ask()):
            # A slow machine may let it wait for the 5 s of the queue.
            if not isinstance(answer, OverloadedError):
                assert_same(answer[-1], expected)


@pytest.mark.slow
def test_canceled_requests_leave_the_others_alone(server: TritonProcess) -> None:
    """Over HTTP, where to cancel is to close the connection."""
    with comes_to_rest(server, "http") as expected:
        for answer in asyncio.run(crowd(server.endpoints.http, size=60, canceled=40)):
            if not isinstance(answer, OverloadedError):
                assert_same(answer[-1], expected)


def test_a_client_may_cancel_its_calls_over_grpc(server: TritonProcess) -> None:
    """One after the other, at any moment: queued, computed, or just answered."""

    async def ask() -> list[Any]:
        answers = []
        async with AsyncClient(server.endpoints.grpc, timeout=PATIENCE_SECONDS) as client:
            for milliseconds in range(20):
                task = asyncio.create_task(client.predict([known_face()] * 4))
                await asyncio.sleep(milliseconds / 1000)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                answers.append(await client.predict(known_face()))
        return answers

    with comes_to_rest(server, "grpc") as expected:
        for answer in asyncio.run(ask()):
            assert_same(answer, expected)


@pytest.mark.parametrize("sent", [10, None], ids=["in mid-request", "before the answer"])
def test_clients_that_leave_are_forgotten(server: TritonProcess, sent: int | None) -> None:
    head = b"POST /v2/models/expression/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: 0\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(known_face())
    with comes_to_rest(server, "http"):
        for _ in range(50):
            with socket.create_connection(address(server, "http")) as connection:
                connection.sendall(request + known_face()[:sent])


def address(server: TritonProcess, transport: str) -> tuple[str, int]:
    host, _, port = getattr(server.endpoints, transport).partition("://")[2].partition(":")
    return host, int(port)


def test_hundreds_of_slow_clients_keep_nobody_waiting(server: TritonProcess) -> None:
    """Triton 2.51 never cuts them off, so a public server needs the gateway, which does."""
    with comes_to_rest(server, "http") as expected, ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(address(server, transport), timeout=60))
            for transport in TRANSPORTS * SLOW_CLIENTS
        ]
        for connection in slow:
            connection.sendall(b"P")
        for transport in TRANSPORTS:
            assert_same(asked(server, transport), expected)
