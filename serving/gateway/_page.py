"""Page that shows the faces of a camera, of images and of videos, with what the model says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.gateway._body import read_image
from lnlattennet.serving.gateway._description import MOST_FACES
from lnlattennet.serving.gateway._engines import Engines
from lnlattennet.serving.gateway._limits import Admission, Limits
from lnlattennet.serving.gateway._static import routes_of


@dataclass(frozen=True)
class PageOptions:
    """What the page offers, and to whom.

    Attributes:
        engines: asked beside the server where a visitor wants it; None offers no comparison.
        hosts: names of this host in requests, all others are refused; () takes every name.
    """

    engines: Engines | None = None
    hosts: Sequence[str] = ()


class Page:
    """Files of the page, and the two endpoints that only it asks.

    Args:
        client: knows what the server states of its model.
        limits: what clients may do.
        admission: lets them in.
        engines: to be compared with the server's answers, if there are any.
    """

    def __init__(
        self, client: AsyncClient, limits: Limits, admission: Admission, engines: Engines | None
    ) -> None:
        self._client, self._limits, self._admission, self._engines = client, limits, admission, engines

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            *routes_of("page"),
            Route("/page/model", self._model),
            Route("/page/engines", self._compare, methods=["POST"]),
        ]

    async def _model(self, request: Request) -> Response:
        """Say what serves, which engines can be compared with it, and the limits."""
        self._admission.admit(request)
        model = self._client.description
        return JSONResponse(
            {
                "class_names": model.class_names,
                "grid": model.grid,
                "license": model.license,
                "model_hash": model.model_hash,
                "preprocessing_id": model.preprocessing_id,
                "engines": self._engines.describe() if self._engines else [],
                "most_faces": MOST_FACES,
                "rate": self._limits.rate,
                "body_bytes": self._limits.body_bytes,
            }
        )

    async def _compare(self, request: Request) -> Response:
        """Answer with every engine of the bundle, on the faces that /v1/predict finds in the same image."""
        with self._admission.place(request):
            if self._engines is None:
                raise HTTPException(404, "no engines to compare; `lnlattennet serve BUNDLE --page` has them")
            try:
                image = await read_image(request, self._limits.body_bytes, self._limits.read_seconds)
            except ClientDisconnect:
                return Response(status_code=400)
            answers = await asyncio.to_thread(self._engines.predict, image, MOST_FACES)
            return JSONResponse({"engines": [answer.to_dict() for answer in answers]})
