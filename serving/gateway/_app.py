"""ASGI application of the gateway: image bytes in, predictions out; it parses no JSON of clients."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lnlattennet.errors import (
    DeadlineError,
    ImageError,
    LnlAttenNetError,
    OverloadedError,
    UnreachableError,
)
from lnlattennet.serving._results import Result, results_document
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.gateway._body import read_image
from lnlattennet.serving.gateway._description import DESCRIPTION, MOST_FACES, MOST_PIXELS
from lnlattennet.serving.gateway._limits import Admission, Limits
from lnlattennet.serving.gateway._page import Page, PageOptions
from lnlattennet.serving.gateway._static import routes_of
from lnlattennet.serving.supervision._known_face import known_face

_READY_SECONDS = 1.0
"""Time for which a probe's answer holds, so that probes are no load."""

_log = logging.getLogger(__name__)


class Gateway:
    """Endpoints before a Triton server.

    Args:
        client: asks for predictions.
        prober: asks whether the model answers.
        limits: what clients may do.
        page: what the page at /page offers; None has no page.
    """

    def __init__(
        self, client: AsyncClient, prober: AsyncClient, limits: Limits, page: PageOptions | None = None
    ) -> None:
        prober.mark_as_probe()
        self._client, self._prober = client, prober
        self._limits, self._page = limits, page
        self._admission = Admission(limits)
        self._ready = (False, -math.inf)

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/v1/predict", self._predict, methods=["POST"]),
            Route("/livez", _livez),
            Route("/readyz", self._readyz),
            Route("/openapi.json", _openapi),
            *routes_of("docs"),
        ]
        if self._page is not None:
            routes += Page(self._client, self._limits, self._admission, self._page.engines).routes()
        handlers: dict[Any, Any] = {
            HTTPException: _refusal,
            LnlAttenNetError: _failure,
            Exception: _unexpected,
        }
        cors = Middleware(
            CORSMiddleware,
            allow_origins=self._limits.origins,
            allow_methods=["POST"],
            allow_headers=["Authorization"],
            expose_headers=["Retry-After"],
        )
        middleware = [cors] if self._limits.origins else []
        if self._page is not None and self._page.hosts:
            middleware.append(Middleware(TrustedHostMiddleware, self._page.hosts))
        app = Starlette(routes=routes, exception_handlers=handlers, middleware=middleware)
        # Behind a proxy with TLS, it would send a client and its key to http://.
        app.router.redirect_slashes = False
        return app

    async def _predict(self, request: Request) -> Response:
        with self._admission.place(request):
            faces = _faces(request)
            try:
                image = await read_image(request, self._limits.body_bytes, self._limits.read_seconds)
            except ClientDisconnect:
                return Response(status_code=400)
            if faces is None:
                predictions = [await self._client.predict(image)]
            else:
                predictions = await self._client.predict(image, *faces)
            return JSONResponse(results_document([Result("-", tuple(predictions))]))

    async def _readyz(self, _: Request) -> Response:
        ready, since = self._ready
        if time.monotonic() - since > _READY_SECONDS:
            self._ready = (ready, time.monotonic())
            try:
                await self._prober.predict(known_face())
                ready = True
            except LnlAttenNetError:
                ready = False
            self._ready = (ready, time.monotonic())
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)


async def _livez(_: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _openapi(_: Request) -> Response:
    return JSONResponse(DESCRIPTION)


def _faces(request: Request) -> tuple[int, float] | None:
    given = request.query_params.multi_items()
    query = dict(given)
    if not query.keys() <= {"max_faces", "min_face"} or len(query) < len(given):
        raise HTTPException(400, "the parameters are max_faces and min_face, each once")
    if "max_faces" not in query:
        if "min_face" in query:
            raise HTTPException(400, "min_face needs max_faces")
        return None
    try:
        count, size = int(query["max_faces"]), float(query.get("min_face", 0))
    except ValueError:
        raise HTTPException(400, "max_faces and min_face must be numbers") from None
    if not (1 <= count <= MOST_FACES and 0 <= size <= MOST_PIXELS):
        raise HTTPException(400, f"max_faces must be 1 to {MOST_FACES}, min_face 0 to {MOST_PIXELS} pixels")
    return count, size


def _refusal(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _failure(_: Request, error: LnlAttenNetError) -> Response:
    """Say what is wrong with an image; say of this side only that it failed, and log the rest."""
    if isinstance(error, ImageError):
        # The client's own sentences may name the address of Triton.
        text = "the image was refused" if "://" in str(error) else str(error)
        return JSONResponse({"error": text}, 422)
    _log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, OverloadedError):
        return JSONResponse({"error": "overloaded, try again"}, 503, {"Retry-After": "1"})
    if isinstance(error, UnreachableError):
        return JSONResponse({"error": "no model answers"}, 502, {"Retry-After": "5"})
    if isinstance(error, DeadlineError):
        return JSONResponse({"error": "the model took too long"}, 504)
    return JSONResponse({"error": "the model failed"}, 502)


def _unexpected(_: Request, error: Exception) -> Response:
    """Answer as after every failure; uvicorn logs the traceback."""
    return JSONResponse({"error": "the gateway failed"}, 500)
