"""FastAPI with a uvicorn worker a core; each predicts in the framework's thread pool."""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from lnlattennet.benchmarks.serving.peers import _kserve as kserve


def create_app() -> FastAPI:
    """Load the bundle and return the application."""
    app, model = FastAPI(openapi_url=None), kserve.predictor()
    app.include_router(kserve.routes("fastapi"))

    @app.post(kserve.INFER)
    async def infer(request: Request) -> Response:
        image = kserve.image_of(await request.body(), request.headers[kserve.HEADER])
        return kserve.answer(await run_in_threadpool(model.predict, image))

    return app


if __name__ == "__main__":
    uvicorn.run(
        f"{__spec__.name}:create_app",
        factory=True,
        port=kserve.port(),
        workers=len(os.sched_getaffinity(0)),
        log_level="warning",
        access_log=False,
    )
