"""A server with too many requests is told from one that is gone, and from one that refuses."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lnlattennet.errors import LnlAttenNetError, OverloadedError, ServingError, UnreachableError
from lnlattennet.serving.client._client import Client

grpc = pytest.importorskip("grpc")

QUEUE = "in ensemble 'expression', [request id: <id_unknown>] Exceeds maximum queue size"
"""What tritonserver 2.51 says; it passes the status on."""

EXPIRED = "in ensemble 'expression', Request timeout expired"
STOPPING = "Server is stopping, scheduler for model has stopped accepting new inference requests"
PROXY = "upstream connect error or disconnect/reset before headers. reset reason: overflow"
HUNG = "Stub process 'expression_pipeline_0_0' is not healthy."
RELOADED = "Request for unknown model: 'expression' has no available versions"
BALANCER = "<html><body>503 Service Unavailable</body></html>"

AGAIN = "is overloaded, try again: "


@contextmanager
def http_server(status: int, body: str) -> Iterator[str]:
    """Answer every HTTP request alike."""
    reply = f"HTTP/1.1 {status} Reason\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def answer() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def grpc_server(status: str, details: str) -> Iterator[str]:
    """Fail every call alike."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc, name-defined]
        def service(self, _: object) -> object:
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(grpc.StatusCode[status], details)
            )

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[Handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"grpc://127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (
            503,
            json.dumps({"error": QUEUE}),
            OverloadedError,
            AGAIN + r"Exceeds maximum queue size \(HTTP 503\)",
        ),
        (
            503,
            json.dumps({"error": EXPIRED}),
            OverloadedError,
            AGAIN + r"Request timeout expired \(HTTP 503\)",
        ),
        (503, BALANCER, OverloadedError, AGAIN),
        (429, json.dumps({"error": "slow down"}), OverloadedError, AGAIN + r"slow down \(HTTP 429\)"),
        (429, "", OverloadedError, r"\(HTTP 429\)"),
        (
            503,
            json.dumps({"error": STOPPING}),
            UnreachableError,
            "no answer from a Triton server .*: Server is stop",
        ),
        (
            413,
            BALANCER,
            ServingError,
            "takes no requests of this size: .*; send fewer images at once, or small",
        ),
        (500, json.dumps({"error": "internal"}), ServingError, "refused: internal"),
        (500, json.dumps({"error": HUNG}), UnreachableError, "is not healthy"),
        (400, json.dumps({"error": RELOADED}), UnreachableError, "no available versions"),
    ],
)
def test_the_status_of_http_tells(status: int, body: str, error: type[Exception], message: str) -> None:
    with http_server(status, body) as url, pytest.raises(LnlAttenNetError, match=message) as caught:
        Client(url, timeout=20)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("status", "details", "error", "message"),
    [
        ("UNAVAILABLE", QUEUE, OverloadedError, AGAIN + r"Exceeds maximum queue size \(gRPC UNAVAILABLE\)"),
        ("UNAVAILABLE", EXPIRED, OverloadedError, AGAIN + "Request timeout expired"),
        ("UNAVAILABLE", PROXY, OverloadedError, AGAIN),
        ("RESOURCE_EXHAUSTED", "slow down", OverloadedError, r"slow down \(gRPC RESOURCE_EXHAUSTED\)"),
        ("UNAVAILABLE", STOPPING, UnreachableError, "no answer from a Triton server .*: Server is stopping"),
        ("UNAVAILABLE", "failed to connect to all addresses", UnreachableError, "no answer from a Triton"),
        (
            "RESOURCE_EXHAUSTED",
            "SERVER: Received message larger than max (5000000 vs. 4194304)",
            ServingError,
            "takes no requests of this size: .*; send fewer images at once, or smaller ones",
        ),
        ("INTERNAL", "internal", ServingError, "refused: internal"),
        ("INTERNAL", HUNG, UnreachableError, "is not healthy"),
        ("NOT_FOUND", RELOADED, UnreachableError, "no available versions"),
    ],
)
def test_the_status_of_grpc_tells(status: str, details: str, error: type[Exception], message: str) -> None:
    with grpc_server(status, details) as url, pytest.raises(LnlAttenNetError, match=message) as caught:
        Client(url, timeout=20)
    assert type(caught.value) is error
