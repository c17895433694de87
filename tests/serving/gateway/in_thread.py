"""A gateway in a thread of the test, without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from lnlattennet.serving.gateway._limits import Limits
from lnlattennet.serving.gateway._page import PageOptions
from lnlattennet.serving.gateway._server import gateway_server

OTHER_ADDRESS = "127.0.0.2"


@dataclass
class GatewayInThread:
    """A running one.

    Attributes:
        port: where it listens, on every IPv4 address of the loopback device.
        server: uvicorn's.
    """

    port: int
    server: uvicorn.Server

    def ask(
        self, path: str = "/v1/predict", body: bytes = b"", method: str = "POST", source: str = "127.0.0.1"
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=(source, 0)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(content) if is_json else content.decode(), answer.headers

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 60, source_address=(source, 0))
        connection.sendall(sent)
        return connection


@contextmanager
def gateway_in_thread(
    url: str,
    *,
    timeout: float = 30.0,
    read_seconds: float = 30.0,
    origins: tuple[str, ...] = (),
    port: int = 0,
    keys: tuple[str, ...] = (),
    rate: float = 1e6,
    page: PageOptions | None = None,
) -> Iterator[GatewayInThread]:
    """Run one; without ``keys``, clients need none."""
    servers: list[uvicorn.Server] = []
    limits = Limits(keys, 2**20, read_seconds, rate, origins)

    async def serve() -> None:
        options = {"host": "127.0.0.1", "port": port, "log_config": None}
        async with gateway_server(url, timeout, limits, options, page) as running:
            servers.append(running)
            await running.serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    while thread.is_alive() and not (servers and servers[0].started):
        time.sleep(0.01)
    assert servers, "the gateway ended: is there a Triton server?"
    try:
        address = servers[0].servers[0].sockets[0].getsockname()
        yield GatewayInThread(address[1], servers[0])
    finally:
        servers[0].should_exit = servers[0].force_exit = True
        thread.join(60)
