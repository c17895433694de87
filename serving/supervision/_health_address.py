"""HTTP address that tells whether the served bundle answers rightly: /livez, /readyz and /metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lnlattennet.errors import ServingError, require
from lnlattennet.serving.supervision._status import Status

_TEXT = "text/plain; charset=utf-8"


@contextmanager
def health_address(status: Status, host: str, port: int) -> Iterator[str]:
    """Answer health requests in a thread, and yield the address.

    Args:
        status: what is told.
        host: IPv4 address to listen on.
        port: 0 picks a free one.

    Raises:
        ServingError: the port is taken.
        UnavailableError: prometheus-client is not installed.
    """
    require("prometheus_client", "triton")
    try:
        server = ThreadingHTTPServer((host, port), _handler(status))
    except OSError as error:
        raise ServingError(
            f"cannot listen on {host} port {port} ({error.strerror}): choose another with --health-port, "
            "or 0 for a free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{server.server_port}"  # noqa: S104
    finally:
        server.shutdown()
        server.server_close()


def _handler(status: Status) -> type[BaseHTTPRequestHandler]:
    from prometheus_client.exposition import choose_encoder

    from lnlattennet.serving.supervision._metrics import status_metrics

    registry = status_metrics(status)

    class Handler(BaseHTTPRequestHandler):
        # A client that sends nothing must not hold a thread.
        timeout = 5

        def handle(self) -> None:
            # Some load balancers only connect, and then reset the connection: no fault to print.
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            code, kind, content = self._answer()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 - the base class's name

        def _answer(self) -> tuple[HTTPStatus, str, bytes]:
            if self.path == "/livez":
                return HTTPStatus.OK, _TEXT, b"alive\n"
            if self.path == "/readyz":
                code = HTTPStatus.OK if status.ready else HTTPStatus.SERVICE_UNAVAILABLE
                return code, _TEXT, f"{status.sentence()}\n".encode()
            if self.path == "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                return HTTPStatus.OK, kind, encode(registry)
            return HTTPStatus.NOT_FOUND, _TEXT, b"ask for /livez, /readyz or /metrics\n"

        def log_message(self, *_: object) -> None:
            """Log nothing: a probe comes every few seconds."""

    return Handler
