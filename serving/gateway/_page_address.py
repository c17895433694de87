"""Address of the page beside a server of this machine: a gateway in a thread, for this machine only."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.gateway._listening import listening_socket

if TYPE_CHECKING:
    import uvicorn

_HOST = "127.0.0.1"
_SECONDS = 10.0
_RATE = 1000.0
"""Who reaches this address reaches Triton, too, which has no limit."""


def page_socket(port: int) -> AbstractContextManager[socket.socket]:
    """Take the page's port on the loopback address; 0 takes a free one.

    Raises:
        ServingError: the port is taken.
    """
    return listening_socket(_HOST, port, "choose another with --page-port, or 0 for a free one")


@contextmanager
def page_address(listening: socket.socket, url: str, bundle: Bundle) -> Iterator[str]:
    """Answer at a socket of ``page_socket``, and yield the page's address.

    Args:
        listening: where browsers ask.
        url: of the server, over gRPC.
        bundle: what it serves; the page compares its engines.

    Raises:
        ServingError: the server does not answer.
    """
    started: Future[uvicorn.Server] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(_answer(listening, url, bundle, started)), name="page", daemon=True
    )
    thread.start()
    server = started.result()
    try:
        yield f"http://{_HOST}:{listening.getsockname()[1]}/page"
    finally:
        server.should_exit = True
        thread.join()


async def _answer(
    listening: socket.socket, url: str, bundle: Bundle, started: Future[uvicorn.Server]
) -> None:
    from lnlattennet.serving.gateway._engines import Engines
    from lnlattennet.serving.gateway._limits import Limits
    from lnlattennet.serving.gateway._page import PageOptions
    from lnlattennet.serving.gateway._server import gateway_server

    limits = Limits((), 16 * 2**20, read_seconds=_SECONDS, rate=_RATE)
    # Another site's name that is made to point to this machine must not open the page to that site.
    page = PageOptions(Engines(bundle), hosts=(_HOST, "localhost"))
    options = {"access_log": False, "log_config": None}
    try:
        async with gateway_server(url, _SECONDS, limits, options, page) as server:
            started.set_result(server)
            await server.serve(sockets=[listening])
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
