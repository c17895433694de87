"""A server that judges frames, with many requests in flight."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import EngineOutputError, ImageError, ServingError
from lnlattennet.images._decode import as_jpeg_or_png, check_size
from lnlattennet.images._read import FileBytes
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._tls import TLSConfig
from lnlattennet.streams._answers import Answer, Task, batched, in_order
from lnlattennet.streams._content import read_content
from lnlattennet.streams._local import Faces, draw_overlay
from lnlattennet.streams._rows import Model

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ServerOptions:
    """How a server is asked.

    Attributes:
        url: as for ``Client``.
        model: name of the server's model.
        timeout: seconds that it may take for one image.
        retries: how often it is asked again that is overloaded or away.
        headers: sent with every request.
        ca: PEM file of who signed its certificate; None for the usual authorities.
        in_flight: requests that it is sent at a time.
        errors_stop: whether an error of the server ends the run; else it is the answer of its image.
    """

    url: str
    model: str
    timeout: float = 10.0
    retries: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: Path | None = None
    in_flight: int = 8
    errors_stop: bool = True


class ServedFramePredictor:
    """Predicts frames by a server; a context manager, which connects and closes the connection."""

    model: Model

    def __init__(self, options: ServerOptions, faces: Faces) -> None:
        self._options, self._faces = options, faces
        self._recorded = (ImageError, EngineOutputError if options.errors_stop else ServingError)
        self._client = AsyncClient(
            options.url,
            options.model,
            options.timeout,
            retries=options.retries,
            headers=options.headers,
            tls=None if options.ca is None else TLSConfig(options.ca),
        )

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            ServingError: nothing answers there, or it does not serve this model.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="requests", daemon=True)
        self._thread.start()
        try:
            self._submit(self._client.__aenter__()).result()
        except BaseException:
            self._stop()
            raise
        description = self._client.description
        self.model = Model(
            class_names=tuple(description.class_names),
            regions=description.grid**2,
            model_hash=description.model_hash,
            preprocessing_id=description.preprocessing_id,
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._submit(self._end()).result()
        finally:
            self._stop()

    def __call__(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer, in order.

        Raises:
            ServingError: the server failed, and errors stop.
        """
        batches = batched(tasks, 1)
        yield from in_order(lambda batch: self._submit(self._answer(batch)), batches, self._options.in_flight)

    async def _answer(self, tasks: Sequence[Task]) -> list[Answer]:
        (task,) = tasks
        image = await asyncio.to_thread(read_content, task.frame)
        if isinstance(image, str):
            return [Answer(error=image)]
        try:
            data = await asyncio.to_thread(_encoded, image)
            predictions = await self._predict(data)
        except self._recorded as error:
            return [Answer(error=str(error))]
        problem = await asyncio.to_thread(draw_overlay, predictions, task.overlay, data)
        return [Answer(tuple(predictions), overlay_error=problem)]

    async def _predict(self, data: bytes) -> list[Prediction]:
        if self._faces.most is None:
            return [await self._client.predict(data)]
        return await self._client.predict(data, self._faces.most, self._faces.smallest)

    def _submit(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        """Cancel what is in flight, and close the connection."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._client.__aexit__()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _encoded(image: FileBytes | NDArray[np.uint8]) -> bytes:
    """Return an image file or pixels in a format that servers take.

    Raises:
        ImageError: servers refuse its size, which is checked before anything is encoded, or it is damaged.
    """
    if isinstance(image, FileBytes):
        return as_jpeg_or_png(image)
    height, width, _ = image.shape
    check_size(width, height)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
