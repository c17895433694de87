"""Calls that only the supervisor makes, to a server whose answers are given."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._model_names import ENSEMBLE
from lnlattennet.serving.triton._server_api import drain


@contextmanager
def server_with_index(*indexes: list[dict[str, Any]]) -> Iterator[Endpoints]:
    """Answer each question about the repository with the next index, and any other call with success."""
    waiting = list(indexes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.dumps(waiting.pop(0)).encode() if self.path.endswith("/index") else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Endpoints("127.0.0.1", server.server_port, 1, 2)
        finally:
            server.shutdown()
            thread.join()
    assert waiting == []


def test_every_version_of_a_model_must_be_drained() -> None:
    """Triton lists each version that it ever had, in the order of their names."""
    busy = {"name": ENSEMBLE, "version": "1", "state": "UNLOADING"}
    gone = {"name": ENSEMBLE, "version": "2", "state": "UNAVAILABLE", "reason": "unloaded"}
    other = {"name": "other", "version": "1", "state": "READY"}
    done = [busy | {"state": "UNAVAILABLE"}, gone, other]
    with server_with_index([busy, gone, other], [gone, busy, other], done) as endpoints:
        assert drain(endpoints, [ENSEMBLE], "key", seconds=30)
