"""The gateway before a server that is away, full or too slow, and among clients that hold connections."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.fake_triton import FULL, fake_triton

pytest.importorskip("starlette")

from lnlattennet.serving.gateway._connections import MOST_HEAD_BYTES, MOST_OF_AN_ADDRESS
from lnlattennet.serving.gateway._limits import MOST_OF_A_CLIENT
from tests.serving.gateway.in_thread import OTHER_ADDRESS, GatewayInThread, gateway_in_thread

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: gateway\r\n"


@pytest.fixture(scope="module")
def gateway(server: TritonProcess) -> Iterator[GatewayInThread]:
    with gateway_in_thread(server.endpoints.grpc) as running:
        yield running


@contextmanager
def forwarding(port: int) -> Iterator[int]:
    """Forward a port to another for as long as the block lasts: a server that can be gone."""
    pairs: list[socket.socket] = []

    def forward(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            end.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                ends = (listening.accept()[0], socket.create_connection(("127.0.0.1", port)))
                pairs.extend(ends)
                for pair in (ends, ends[::-1]):
                    threading.Thread(target=forward, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for end in pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def test_a_server_that_has_gone(server: TritonProcess) -> None:
    with contextlib.ExitStack() as stack:
        there = contextlib.ExitStack()
        port = there.enter_context(forwarding(server.endpoints.grpc_port))
        gateway = stack.enter_context(gateway_in_thread(f"grpc://127.0.0.1:{port}"))
        assert gateway.ask(body=known_face())[0] == 200
        there.close()
        status, answer, headers = gateway.ask(body=known_face())
        assert (status, answer) == (502, {"error": "no model answers"})
        assert int(headers["Retry-After"]) >= 1
        assert gateway.ask("/readyz", method="GET")[0] == 503
        assert gateway.ask("/livez", method="GET")[0] == 200


def test_a_server_that_hangs(server: TritonProcess) -> None:
    with gateway_in_thread(server.endpoints.grpc, timeout=1) as gateway:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            status, answer, _ = gateway.ask(body=known_face())
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert (status, answer) == (504, {"error": "the model took too long"})


def test_a_server_that_is_full_or_fails() -> None:
    with fake_triton() as fake, gateway_in_thread(fake.url) as gateway:
        fake.failures = [FULL, ("INTERNAL", "Failed to open /srv/models/x: No such file")]
        status, answer, headers = gateway.ask(body=known_face())
        assert (status, answer) == (503, {"error": "overloaded, try again"})
        assert int(headers["Retry-After"]) >= 1
        status, answer, headers = gateway.ask(body=known_face())
        assert (status, answer) == (502, {"error": "the model failed"})


def closed(connection: socket.socket) -> bool:
    """Return whether the other end has closed a connection, which is read until then."""
    with contextlib.suppress(ConnectionError):
        while select.select([connection], [], [], 60)[0]:
            if not connection.recv(65536):
                return True
        return False
    return True


def test_headers_byte_by_byte(server: TritonProcess) -> None:
    with gateway_in_thread(server.endpoints.grpc, read_seconds=1) as gateway, contextlib.ExitStack() as stack:
        starts = [b"", b"\r\n", HEAD]
        connections = {stack.enter_context(gateway.connect(start)): start[-1:] for start in starts}
        deadline = time.monotonic() + 60
        while connections and time.monotonic() < deadline:
            for connection in select.select(connections, [], [], 0.1)[0]:
                assert closed(connection)
                del connections[connection]
            for connection, byte in connections.items():
                with contextlib.suppress(ConnectionError):
                    connection.sendall(byte)
        assert not connections


def test_bodies_byte_by_byte_keep_nobody_else_out(gateway: GatewayInThread) -> None:
    slow = [gateway.connect(HEAD + b"Content-Length: 1000\r\n\r\n1") for _ in range(MOST_OF_A_CLIENT)]
    while len(gateway.server.server_state.tasks) < MOST_OF_A_CLIENT:
        time.sleep(0.01)
    status, _, headers = gateway.ask(body=known_face())
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    assert gateway.ask(body=known_face(), source=OTHER_ADDRESS)[0] == 200
    for connection in slow:
        connection.close()
    while gateway.server.server_state.tasks:
        time.sleep(0.01)
    assert gateway.ask(body=known_face())[0] == 200


def test_connections_that_send_nothing_keep_nobody_else_out(gateway: GatewayInThread) -> None:
    idle = [gateway.connect() for _ in range(MOST_OF_AN_ADDRESS + 1)]
    assert closed(idle[-1])
    assert not select.select(idle[:-1], [], [], 0)[0]
    assert gateway.ask(body=known_face(), source=OTHER_ADDRESS)[0] == 200
    for connection in idle:
        connection.close()


@pytest.mark.parametrize(
    "start",
    [b"GET /%s", b"GET /%s HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: %s", b"GET / HTTP/1.1\r\nX: %s\r\n\r\n"],
    ids=["unfinished path", "path", "unfinished header", "header"],
)
def test_headers_too_large(gateway: GatewayInThread, start: bytes) -> None:
    with gateway.connect(start % (b"x" * MOST_HEAD_BYTES)) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
        assert closed(connection)


def test_headers_of_the_largest_size(gateway: GatewayInThread) -> None:
    head = b"GET /livez HTTP/1.1\r\nX: " + b"x" * (MOST_HEAD_BYTES - 10) + b"\r\n\r\n"
    with gateway.connect(head) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http(gateway: GatewayInThread) -> None:
    with gateway.connect(b"\x16\x03\x01 a TLS greeting\r\n\r\n") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert closed(connection)


def test_a_client_that_reads_nothing(server: TritonProcess) -> None:
    with (
        gateway_in_thread(server.endpoints.grpc, timeout=0.5, read_seconds=0.5) as gateway,
        gateway.connect() as connection,
    ):
        # More than the buffers of both ends hold.
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n" * 4000)
        while not gateway.server.server_state.tasks:
            time.sleep(0.01)
        deadline = time.monotonic() + 60
        while gateway.server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not gateway.server.server_state.connections


def test_a_stop_answers_what_has_begun(server: TritonProcess) -> None:
    image = known_face()
    with (
        gateway_in_thread(server.endpoints.grpc) as gateway,
        gateway.connect(HEAD + b"Content-Length: %d\r\n\r\n" % len(image)) as connection,
    ):
        connection.sendall(image[:100])
        while not gateway.server.server_state.tasks:
            time.sleep(0.01)
        # What SIGTERM sets.
        gateway.server.should_exit = True
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                gateway.connect().close()
                time.sleep(0.01)
        connection.sendall(image[100:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert closed(connection)
