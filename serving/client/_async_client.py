"""Client of a server for asyncio, over gRPC or HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import UsageError
from lnlattennet.images._encoded import EncodedImage
from lnlattennet.serving.client._connection import AsyncConnection
from lnlattennet.serving.client._description import ModelDescription
from lnlattennet.serving.client._protocols import choose_protocol
from lnlattennet.serving.client._session import Session
from lnlattennet.serving.client._stream import StreamPrediction, StreamSession
from lnlattennet.serving.client._tls import TLSConfig
from lnlattennet.serving.triton._model_names import ENSEMBLE, UNCOUNTED


class AsyncClient:
    """``Client`` for asyncio; it connects where its context begins, in the running loop.

        async with AsyncClient("grpc://127.0.0.1:8001") as client:
            answers = await asyncio.gather(*map(client.predict, images))

    A task that is canceled, or that ``asyncio.timeout`` ends, cancels its request: over gRPC the server skips
    what it has not begun. Arguments, answers and errors are those of ``Client``; here ``timeout`` limits the
    whole request over HTTP, too.
    """

    def __init__(
        self,
        url: str,
        model: str = ENSEMBLE,
        timeout: float = 10.0,
        *,
        retries: int = 0,
        headers: Mapping[str, str] | None = None,
        tls: TLSConfig | None = None,
        shared_memory: bool = False,
    ) -> None:
        self._session = Session(model, timeout, retries, shared_memory)
        self._protocol = choose_protocol(url, timeout, headers, tls)
        self._opened: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect, and ask what the server states of its model.

        Raises:
            ServingError: nothing answers there, or it does not serve this model.
            UsageError: it is open already.
        """
        if self._opened is not None:
            raise UsageError("this AsyncClient is open already; make another, or share it with its methods")
        connection = AsyncConnection(self._protocol)
        try:
            await connection.run(self._session.describe())
        except BaseException:
            await connection.close()
            raise
        self._opened = connection
        return self

    async def __aexit__(self, *_: object) -> None:
        connection, self._opened = self._connection, None
        try:
            await connection.run(self._session.close())
        finally:
            await connection.close()

    @property
    def _connection(self) -> AsyncConnection:
        if self._opened is None:
            raise UsageError("an AsyncClient works inside its context: async with AsyncClient(url) as client")
        return self._opened

    def mark_as_probe(self) -> None:
        """Keep what this client asks from now on out of the server's counts of answers."""
        self._session.parameters = {UNCOUNTED: True}

    @property
    def description(self) -> ModelDescription:
        """What the server states of its model."""
        return self._session.description

    @overload
    async def predict(self, images: EncodedImage) -> Prediction: ...

    @overload
    async def predict(self, images: Sequence[EncodedImage]) -> list[Prediction]: ...

    @overload
    async def predict(
        self, images: EncodedImage, max_faces: int, min_face: float = 0
    ) -> list[Prediction]: ...

    @overload
    async def predict(
        self, images: Sequence[EncodedImage], max_faces: int, min_face: float = 0
    ) -> list[list[Prediction]]: ...

    async def predict(self, images: Any, max_faces: int | None = None, min_face: float = 0) -> Any:
        """Predict the expression on the largest face, or on every face; see ``Client.predict``."""
        return await self._connection.run(self._session.predict(images, max_faces, min_face))

    async def predict_crops(self, crops: NDArray[Any] | Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        """Predict the expression on crops of faces; see ``Client.predict_crops``."""
        return await self._connection.run(self._session.predict_crops(crops))

    def stream(self) -> AsyncStream:
        """Start a stream, whose probabilities are smoothed over time; its context ends it."""
        return AsyncStream(self._connection, StreamSession(self._session))


class AsyncStream:
    """``Stream`` for asyncio: images one after the other, one at a time."""

    def __init__(self, connection: AsyncConnection, session: StreamSession) -> None:
        self._connection = connection
        self._session = session

    async def predict(self, image: EncodedImage, time: float | None = None) -> StreamPrediction:
        """Predict the expression on the largest face of the stream's next image; see ``Stream.predict``."""
        return await self._connection.run(self._session.predict(image, time))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.run(self._session.close())
