"""Retries, deadlines, headers and cancellation, seen from the server's side."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lnlattennet.errors import (
    DeadlineError,
    ImageError,
    LnlAttenNetError,
    OverloadedError,
    ServingError,
    UnreachableError,
    UsageError,
)
from lnlattennet.images._blank import blank_png
from lnlattennet.serving.client import _session
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._client import Client
from tests.serving.client.fake_triton import FULL, REFUSED, UNAVAILABLE, FakeTriton, fake_triton


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with fake_triton() as server:
        yield server


@pytest.mark.parametrize("failure", [UNAVAILABLE, FULL])
def test_a_passing_failure_is_retried(fake: FakeTriton, failure: tuple[str, str]) -> None:
    fake.failures = [failure, failure]
    with Client(fake.url, retries=2) as client:
        assert client.predict(blank_png()).label == "glad"
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    ("failure", "retries", "requests", "error"),
    [
        (UNAVAILABLE, 0, 1, UnreachableError),
        (FULL, 0, 1, OverloadedError),
        (FULL, 2, 3, OverloadedError),
        (REFUSED, 2, 1, ImageError),
        (("INTERNAL", "the engine failed"), 2, 1, ServingError),
        (("DEADLINE_EXCEEDED", ""), 2, 1, DeadlineError),
    ],
)
def test_retries_are_bounded_and_for_passing_failures_alone(
    fake: FakeTriton, failure: tuple[str, str], retries: int, requests: int, error: type[Exception]
) -> None:
    fake.failures = [failure] * 20
    with Client(fake.url, retries=retries) as client, pytest.raises(LnlAttenNetError) as caught:
        client.predict(blank_png())
    assert type(caught.value) is error
    assert len(fake.requests) == requests


def test_no_retry_begins_after_the_deadline(fake: FakeTriton) -> None:
    fake.failures = [FULL] * 20
    started = time.monotonic()
    with Client(fake.url, timeout=0.5, retries=10) as client, pytest.raises(OverloadedError):
        client.predict(blank_png())
    assert 2 <= len(fake.requests) < 6
    assert time.monotonic() - started < 3


def test_pauses_grow_and_differ() -> None:
    pauses = [list(_session._pauses(8)) for _ in range(20)]
    for index in range(8):
        longest = min(0.1 * 2**index, 2.0)
        column = [row[index] for row in pauses]
        assert longest / 2 <= min(column) < max(column) <= longest


def test_an_image_of_a_stream_is_never_sent_again(fake: FakeTriton) -> None:
    with Client(fake.url, retries=5) as client, client.stream() as stream:
        assert stream.predict(blank_png(), 0.0).label == "glad"
        fake.failures = [UNAVAILABLE]
        with pytest.raises(UnreachableError):
            stream.predict(blank_png(), 1.0)
    flags = [
        (request.parameters["sequence_start"].bool_param, request.parameters["sequence_end"].bool_param)
        for request in fake.requests
    ]
    assert flags == [(True, False), (False, False), (False, True)]
    assert len({request.parameters["sequence_id"].int64_param for request in fake.requests}) == 1


@pytest.mark.parametrize("retries", [-1, 11])
def test_retries_have_a_range(retries: int) -> None:
    with pytest.raises(UsageError, match=f"retries must be a whole number from 0 to 10, got {retries}"):
        Client("grpc://127.0.0.1:1", retries=retries)


@contextmanager
def unavailable_over_http() -> Iterator[tuple[str, list[str]]]:
    """Answer 503 to every request, and tell their paths."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", paths
        server.shutdown()


async def ask_async(url: str, retries: int) -> None:
    async with AsyncClient(url, retries=retries) as client:
        await client.predict(blank_png())


def test_http_retries_alike() -> None:
    with unavailable_over_http() as (url, paths):
        with pytest.raises(OverloadedError):
            Client(url, retries=1)
        assert len(paths) == 2
        with pytest.raises(OverloadedError):
            asyncio.run(ask_async(url, retries=2))
        assert len(paths) == 5


def test_asyncio_retries_alike(fake: FakeTriton) -> None:
    fake.failures = [FULL]
    asyncio.run(ask_async(fake.url, retries=1))
    assert len(fake.requests) == 2


def test_the_server_learns_the_deadline(fake: FakeTriton) -> None:
    with Client(fake.url, timeout=2) as client:
        client.predict(blank_png())
    assert 1_000_000 < fake.requests[0].parameters["timeout"].int64_param <= 2_000_000


def test_headers_go_with_every_call(fake: FakeTriton) -> None:
    async def ask() -> None:
        async with AsyncClient(fake.url, headers=headers) as client:
            await client.predict(blank_png())

    headers = {"Authorization": "Bearer key", "x-tenant": "7"}
    with Client(fake.url, headers=headers) as client:
        client.predict(blank_png())
    asyncio.run(ask())
    assert len(fake.metadata) == 4
    for metadata in fake.metadata:
        assert (metadata["authorization"], metadata["x-tenant"]) == ("Bearer key", "7")


@pytest.mark.parametrize("header", [{"a": "b\n"}, {"é": "b"}, {"a": b"b"}])
def test_other_headers_are_refused(header: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="a header must be a name and a text in printable ASCII"):
        Client("grpc://127.0.0.1:1", headers=header)


def test_a_canceled_task_cancels_its_request(fake: FakeTriton) -> None:
    async def ask() -> None:
        async with AsyncClient(fake.url, timeout=30) as client:
            fake.silent = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.predict(blank_png())
            assert await asyncio.to_thread(fake.abandoned.wait, 10)
            fake.silent = False
            assert (await client.predict(blank_png())).label == "glad"

    asyncio.run(ask())


def test_a_closed_client_says_so(fake: FakeTriton) -> None:
    client = Client(fake.url, timeout=30)
    fake.silent = True
    errors: list[Exception] = []

    def ask() -> None:
        try:
            client.predict(blank_png())
        except ServingError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not fake.requests:
        time.sleep(0.01)
    client.close()
    thread.join(10)
    assert "its client may have been closed" in str(errors[0])
