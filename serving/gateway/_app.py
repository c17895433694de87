"""ASGI application of the gateway: image bytes in, predictions out; it parses no JSON of clients."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lnlattennet._version import __version__
from lnlattennet.errors import ImageError, LnlAttenNetError, OverloadedError, UnreachableError
from lnlattennet.serving.cli._results import Result, results_document
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.gateway._limits import RateLimit, find_key, read_body
from lnlattennet.serving.supervision._known_face import known_face

MOST_FACES = 100

_READY_SECONDS = 1.0
"""Time for which a probe's answer holds, so that probes are no load."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What clients may do.

    Attributes:
        keys: API keys; without any, every client may ask.
        body_bytes: largest image file.
        body_seconds: time in which it must arrive.
        rate: requests a second of one key, or of one address without a key.
    """

    keys: Sequence[str]
    body_bytes: int
    body_seconds: float
    rate: float


class Gateway:
    """Endpoints, all on one client of a Triton server."""

    def __init__(self, client: AsyncClient, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._rate = RateLimit(limits.rate)
        self._ready = (False, -math.inf)

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/v1/predict", self._predict, methods=["POST"]),
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/openapi.json", self._openapi),
        ]
        handlers: dict[Any, Any] = {HTTPException: _refusal, LnlAttenNetError: _failure}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _predict(self, request: Request) -> Response:
        self._admit(request)
        faces = _faces(request)
        try:
            image = await read_body(request, self._limits.body_bytes, self._limits.body_seconds)
        except ClientDisconnect:
            return Response(status_code=400)
        if faces is None:
            predictions = [await self._client.predict(image)]
        else:
            predictions = await self._client.predict(image, *faces)
        return JSONResponse(results_document([Result("-", tuple(predictions))]))

    def _admit(self, request: Request) -> None:
        key = find_key(request, self._limits.keys)
        address = request.client.host if request.client else ""
        # Wrong keys count, too: nobody tries them as fast as they can.
        self._rate.take(f"address {address}" if key is None else f"key {key}")
        if self._limits.keys and key is None:
            raise HTTPException(401, "send Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})

    async def _livez(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _readyz(self, _: Request) -> Response:
        ready, since = self._ready
        if time.monotonic() - since > _READY_SECONDS:
            self._ready = (ready, time.monotonic())
            try:
                await self._client.predict(known_face())
                ready = True
            except LnlAttenNetError:
                ready = False
            self._ready = (ready, time.monotonic())
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(_DESCRIPTION)


def _faces(request: Request) -> tuple[int, float] | None:
    query = request.query_params
    if not query.keys() <= {"max_faces", "min_face"}:
        raise HTTPException(400, "the parameters are max_faces and min_face")
    if "max_faces" not in query:
        if "min_face" in query:
            raise HTTPException(400, "min_face needs max_faces")
        return None
    try:
        count, size = int(query["max_faces"]), float(query.get("min_face", 0))
    except ValueError:
        raise HTTPException(400, "max_faces and min_face must be numbers") from None
    if not (1 <= count <= MOST_FACES and 0 <= size <= 1e5):
        raise HTTPException(400, f"max_faces must be 1 to {MOST_FACES}, min_face 0 to 100000 pixels")
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
        return JSONResponse({"error": "no model answers"}, 503, {"Retry-After": "5"})
    return JSONResponse({"error": "the model failed"}, 502)


def _parameter(name: str, kind: str, least: int, most: int) -> dict[str, Any]:
    schema = {"type": kind, "minimum": least, "maximum": most}
    return {"in": "query", "name": name, "required": False, "schema": schema}


_STATUSES = {
    "200": "Predictions, in the form of `lnlattennet predict --json`",
    "400": "A parameter breaks a rule",
    "401": "No known API key",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "415": "The body is compressed",
    "422": "The image cannot be used",
    "429": "Too many requests",
    "502": "The model failed",
    "503": "Overloaded, or no model answers",
}
_DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "LNLAttenNet gateway", "version": __version__},
    "paths": {
        "/v1/predict": {
            "post": {
                "summary": "Predict the expression on the largest face, or on every face.",
                "parameters": [
                    _parameter("max_faces", "integer", 1, MOST_FACES),
                    _parameter("min_face", "number", 0, 100_000),
                ],
                "requestBody": {"required": True, "content": {"image/jpeg": {}, "image/png": {}}},
                "responses": {
                    status: {
                        "description": text,
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                    for status, text in _STATUSES.items()
                },
                "security": [{}, {"key": []}],
            }
        }
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
}
