"""A server that judges frames, with many requests in flight."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local
from typing import Self

import numpy as np
from PIL import Image

from lnlattennet.errors import EngineOutputError, ImageError, ServingError
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._tls import TLSConfig
from lnlattennet.streams._answers import Answer, Task, batched, in_order
from lnlattennet.streams._content import read_content
from lnlattennet.streams._local import Faces, draw_overlay
from lnlattennet.streams._rows import Model


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


class ServedJudge:
    """Judges frames by a server; a context manager that closes the connections.

    Raises:
        ServingError: nothing answers there, or it does not serve this model.
        UsageError: the URL is none.
    """

    def __init__(self, options: ServerOptions, faces: Faces) -> None:
        self._options, self._faces = options, faces
        self._clients, self._lock, self._own = ExitStack(), Lock(), local()
        self._recorded = (ImageError, EngineOutputError if options.errors_stop else ServingError)
        description = self._client().description
        self.model = Model(
            class_names=tuple(description.class_names),
            regions=description.grid**2,
            model_hash=description.model_hash,
            preprocessing_id=description.preprocessing_id,
        )
        self._pool = ThreadPoolExecutor(options.in_flight)

    def __call__(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer, in order.

        Raises:
            ServingError: the server failed, and errors stop.
        """
        yield from in_order(self._pool, self._answer, batched(tasks, 1), 2 * self._options.in_flight)

    def _answer(self, tasks: Sequence[Task]) -> list[Answer]:
        (task,) = tasks
        image = read_content(task.frame)
        if isinstance(image, str):
            return [Answer(error=image)]
        data = _encoded(image) if isinstance(image, np.ndarray) else image
        client, faces = self._client(), self._faces
        try:
            if faces.most is None:
                predictions = [client.predict(data)]
            else:
                predictions = client.predict(data, faces.most, faces.smallest)
        except self._recorded as error:
            return [Answer(error=str(error))]
        return [Answer(tuple(predictions), overlay_error=draw_overlay(predictions, task.overlay, data))]

    def _client(self) -> Client:
        """Return this thread's client: one over HTTP belongs to the thread that made it."""
        if not hasattr(self._own, "client"):
            options = self._options
            client = Client(
                options.url,
                options.model,
                options.timeout,
                retries=options.retries,
                headers=options.headers,
                tls=None if options.ca is None else TLSConfig(options.ca),
            )
            with self._lock:
                self._own.client = self._clients.enter_context(client)
        own: Client = self._own.client
        return own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._clients.close()


def _encoded(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
