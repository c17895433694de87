"""The gateway as a server of uvicorn's, connected to Triton."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.gateway._app import Gateway
from lnlattennet.serving.gateway._connections import connection_options
from lnlattennet.serving.gateway._limits import Limits
from lnlattennet.serving.gateway._page import PageOptions

_STOP_SECONDS = 30


@asynccontextmanager
async def gateway_server(
    url: str, timeout: float, limits: Limits, options: dict[str, Any], page: PageOptions | None = None
) -> AsyncIterator[uvicorn.Server]:
    """Connect to a Triton server, and yield a server whose ``serve`` answers clients.

    Args:
        url: of Triton, grpc:// or http://.
        timeout: seconds that it may take for one image.
        limits: what clients may do.
        options: of uvicorn.
        page: what the page offers; None has no page.

    Raises:
        ServingError: there is no server, or it serves something else.
    """
    config: dict[str, Any] = {
        "lifespan": "off",
        "timeout_graceful_shutdown": _STOP_SECONDS,
        # The address that limits are counted for must not come from a header.
        "proxy_headers": False,
        "server_header": False,
    }
    config |= connection_options(limits.read_seconds, timeout)
    # A form that cannot be read is answered, and that is logged.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    async with AsyncClient(url, timeout=timeout) as client, AsyncClient(url, timeout=timeout) as prober:
        app = Gateway(client, prober, limits, page).app()
        yield uvicorn.Server(uvicorn.Config(app, **config, **options))
