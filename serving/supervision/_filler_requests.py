"""Requests that keep the dead process of a Python model busy, so that clients' requests reach the others.

Triton 2.51 goes on giving requests to each process of a model in turn. One that is dead has each of them for
a second until it fails.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress

from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._model_names import FUSED, PIPELINE

_AT_ONCE, _PAUSE_SECONDS = 5, 0.01
"""So many follow one another until the dead process has one again; then there is a pause between them."""

_DEAD_SECONDS = 0.9
"""An answer that takes longer is of a dead process."""

_TIMEOUT_SECONDS = 5

_PATH = f"/v2/models/{FUSED}/infer"
_BODY, _HEADERS = b"no image", {"Inference-Header-Content-Length": "0"}
"""A process that is well refuses this at once, and counts no answer."""


@contextmanager
def filler_requests(endpoints: Endpoints, models: Collection[str]) -> Iterator[None]:
    """Send such requests during the block.

    Args:
        endpoints: of the server.
        models: those with a dead process; only the pipeline, of whichever version, has others beside it.
    """
    if not any(model.startswith(PIPELINE) for model in models):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_send, args=(endpoints, ended), name="filler-requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _send(endpoints: Endpoints, ended: threading.Event) -> None:
    at, quick = (endpoints.client_host, endpoints.http_port), 0
    with closing(http.client.HTTPConnection(*at, timeout=_TIMEOUT_SECONDS)) as connection:
        while not ended.is_set():
            started = time.monotonic()
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", _PATH, _BODY, _HEADERS)
                connection.getresponse().read()
            quick = quick + 1 if time.monotonic() - started < _DEAD_SECONDS else 0
            if quick > _AT_ONCE:
                ended.wait(_PAUSE_SECONDS)
