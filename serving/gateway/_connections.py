"""Connections of the gateway: uvicorn's, with bounds on headers, idle time and whole requests."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 16 * 1024
"""Size of a request line and headers."""

MOST_OF_AN_ADDRESS = 256
"""Connections of one address: below the 1,024 files that a process may usually open."""


def bounded_connections(head_seconds: float, answer_seconds: float) -> type[HttpToolsProtocol]:
    """Make a class of connections that no client can hold.

    Args:
        head_seconds: time in which the next request's headers must be complete, from the connection's start
            or the last answer.
        answer_seconds: time from there until its answer is written.
    """
    connections: Counter[str] = Counter()

    class Connection(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _in_head = True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._address = self.client[0] if self.client else ""
            connections[self._address] += 1
            if connections[self._address] > MOST_OF_AN_ADDRESS:
                transport.abort()
            else:
                self._within(head_seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            connections[self._address] -= 1
            if not connections[self._address]:
                del connections[self._address]
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("")

        def on_headers_complete(self) -> None:
            self._head_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if self._head_bytes > MOST_HEAD_BYTES:
                # Answered as what cannot be parsed: below.
                raise ValueError("headers too large")
            self._in_head = False
            super().on_headers_complete()
            self._within(answer_seconds)

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._in_head, self._head_bytes = True, 0

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.transport.is_closing():
                answered = self.cycle.response_complete
                self._within(head_seconds if answered else answer_seconds)

        def send_400_response(self, msg: str) -> None:
            is_large = self._head_bytes > MOST_HEAD_BYTES
            text = f"a head may have {MOST_HEAD_BYTES} bytes" if is_large else "this is no HTTP request"
            content = json.dumps({"error": text}).encode()
            lines = [STATUS_LINE[431 if is_large else 400], b"content-type: application/json\r\n"]
            lines += [b"content-length: %d\r\n" % len(content), b"connection: close\r\n\r\n", content]
            self.transport.write(b"".join(lines))
            self.transport.close()

        def _within(self, seconds: float) -> None:
            self._stop_timer()
            # A client that reads nothing would hold a connection that is only closed.
            self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()

    return Connection


def connection_options(read_seconds: float, triton_seconds: float) -> dict[str, Any]:
    """Return uvicorn's options for such connections."""
    return {
        # An image is read and answered one after the other; as much again is for writing.
        "http": bounded_connections(read_seconds, 2 * (read_seconds + triton_seconds)),
        "ws": "none",
        "timeout_keep_alive": 5,
    }
