"""LitServe with a worker process a core behind one process of its web server.

Its own endpoints take JSON and forms; a specification, its way to speak other protocols, takes the image's
bytes as they are.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid

import litserve
from fastapi import Request, Response
from litserve.specs.base import LitSpec
from litserve.utils import LitAPIStatus, ResponseBufferItem

from lnlattennet.benchmarks.serving.peers import _kserve as kserve
from lnlattennet.bundle._prediction import Prediction


class Expression(litserve.LitAPI):  # type: ignore[misc]
    """Bytes of an image -> its prediction."""

    def setup(self, device: str) -> None:
        """Load the bundle, once in each worker."""
        self._predictor = kserve.predictor()

    def predict(self, image: bytes) -> Prediction:
        """Return the prediction of the largest face."""
        return self._predictor.predict(image)


class KServe(LitSpec):  # type: ignore[misc]
    """Passes images to the workers, and their predictions back."""

    def __init__(self) -> None:
        super().__init__()
        self.api_path = kserve.INFER
        self.add_endpoint(kserve.INFER, self.infer, ["POST"])

    def decode_request(self, request: bytes, context_kwargs: object = None) -> bytes:
        """Return the image as it came."""
        return request

    def encode_response(self, output: Prediction, context_kwargs: object = None) -> Prediction:
        """Return the prediction as it is: it is pickled on its way to the web server."""
        return output

    async def infer(self, request: Request) -> Response:
        """Answer one image."""
        image = kserve.image_of(await request.body(), request.headers[kserve.HEADER])
        number, arrived = uuid.uuid4(), asyncio.Event()
        self.response_buffer[number] = ResponseBufferItem(event=arrived)
        self.request_queue.put_nowait((self.response_queue_id, number, time.monotonic(), image))
        await arrived.wait()
        prediction, status = self.response_buffer.pop(number).response
        if status == LitAPIStatus.ERROR:
            raise RuntimeError(prediction)
        return kserve.answer(prediction)


def main() -> None:
    """Serve until the process is ended."""
    server = litserve.LitServer(
        Expression(spec=KServe()), accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0))
    )
    server.app.include_router(kserve.routes("litserve"))
    server.run(host="127.0.0.1", port=kserve.port(), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
