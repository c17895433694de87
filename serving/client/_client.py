"""Client of a server whose calls block, over gRPC or HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.images._encoded import EncodedImage
from lnlattennet.serving.client._calls import Outputs
from lnlattennet.serving.client._connection import Connection
from lnlattennet.serving.client._description import ModelDescription
from lnlattennet.serving.client._protocols import choose_protocol
from lnlattennet.serving.client._session import Session
from lnlattennet.serving.client._stream import StreamPrediction, StreamSession
from lnlattennet.serving.client._tls import TLSConfig
from lnlattennet.serving.triton._model_names import ENSEMBLE, UNCOUNTED


class Client:
    """A connection to one server; usable as a context manager.

        with Client("grpc://127.0.0.1:8001") as client:
            print(client.predict(Path("face.jpg").read_bytes()).label)

    A ``grpc://`` client may be shared by threads; an ``http://`` client belongs to the thread that made it.
    ``AsyncClient`` has the same methods for asyncio.

    Args:
        url: ``grpc://host:port`` or ``http://host:port``, with TLS ``grpcs://`` or ``https://``.
        model: ``expression`` or ``expression_fused``, for the largest face of each image.
        timeout: seconds that one request may take, its retries counted in. The server is told, and does not
            begin a request that waited longer. Over HTTP it limits each wait for the server instead.
        retries: how often a request is sent again that found no server or an overloaded one, after 0.1 s,
            0.2 s and so on up to 2 s, each shortened at random by up to a half. None by default: retries of
            many clients keep an overloaded server overloaded.
        headers: sent with every request, such as an API key; gRPC's metadata.
        tls: certificates for TLS; None trusts the usual authorities and shows no certificate.
        shared_memory: hand over crops in shared memory, to a server on this machine that
            ``lnlattennet serve --shared-memory`` runs.

    Raises:
        UsageError: an argument is of another form, or ``model`` is one that has a method of its own.
        ServingError: nothing answers there, or it does not serve this model.
        UnavailableError: tritonclient is not installed.
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
        self._connection = Connection(choose_protocol(url, timeout, headers, tls))
        try:
            self._connection.run(self._session.describe())
        except BaseException:
            self._connection.close()
            raise

    def mark_as_probe(self) -> None:
        """Keep what this client asks from now on out of the server's counts of answers."""
        self._session.parameters = {UNCOUNTED: True}

    @property
    def description(self) -> ModelDescription:
        """What the server states of its model."""
        return self._session.description

    @overload
    def predict(self, images: EncodedImage) -> Prediction: ...

    @overload
    def predict(self, images: Sequence[EncodedImage]) -> list[Prediction]: ...

    @overload
    def predict(self, images: EncodedImage, max_faces: int, min_face: float = 0) -> list[Prediction]: ...

    @overload
    def predict(
        self, images: Sequence[EncodedImage], max_faces: int, min_face: float = 0
    ) -> list[list[Prediction]]: ...

    def predict(self, images: Any, max_faces: int | None = None, min_face: float = 0) -> Any:
        """Predict the expression on the largest face, or on every face, of an image or of each of a list.

        ``LocalPredictor.predict`` takes the same, and answers and refuses alike; it takes paths and pixels,
        too. Here they are an ``ImageTypeError``, and nothing of them is sent.

        Args:
            images: a JPEG or PNG file as bytes, as an object like bytes or as the array that
                ``cv2.imencode`` gives; or a list of them.
            max_faces: predict at most this many faces of each image; None predicts the largest.
            min_face: with ``max_faces``: size in pixels below which a face gets the status "too_small".

        Returns:
            One prediction for an image, a list in the same order for a list. With ``max_faces`` there is a
            list of predictions in place of each, largest face first. An image without a face has one
            prediction, of its center square.

        Raises:
            ImageTypeError: an image is not like bytes; nothing was sent.
            ImageError: the server refused an image; no image of a list is predicted then.
            OverloadedError: the server has too many requests; try again.
            UnreachableError: no server answers, or it is stopping; try again.
            EngineOutputError: the served engine gave an output that breaks a rule of ``check_outputs``.
            DeadlineError: the server took longer than ``timeout``.
            ServingError: the server failed.
            UsageError: ``max_faces`` or ``min_face`` is out of range.
        """
        return self._connection.run(self._session.predict(images, max_faces, min_face))

    def predict_crops(self, crops: NDArray[Any] | Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        """Predict the expression on crops of faces, without a search; ``Bundle.predict`` answers alike.

        Args:
            crops: RGB uint8 [n, H, W, 3], or a list of arrays [H, W, 3], from 16 pixels a side. The center
                square of each is resized to the network's size, and is its prediction's ``face_box``. Or the
                engine's input, normalized: float32 [n, 3, S, S].

        Returns:
            One prediction for each in order, with the status "no_face", since nobody looked for one.

        Raises:
            ImageError: a crop has another type or shape, or numbers that are not finite.
            ServingError: as for ``predict``, with OverloadedError, UnreachableError and EngineOutputError.
        """
        return self._connection.run(self._session.predict_crops(crops))

    def stream(self) -> Stream:
        """Start a stream, whose probabilities are smoothed over time; its context ends it."""
        return Stream(self._connection, StreamSession(self._session))

    def engine_outputs(self, faces: NDArray[np.float32]) -> Outputs:
        """Return the checked outputs of the engine alone for normalized faces float32 [n, 3, S, S], n > 0.

        Raises:
            ImageError: the faces have another type or shape, or numbers that are not finite.
            ServingError: as for ``predict``, with OverloadedError, UnreachableError and EngineOutputError.
        """
        return self._connection.run(self._session.engine_outputs(faces))

    def model_config(self, model: str) -> dict[str, Any]:
        """Return Triton's configuration of any model of the server.

        Raises:
            ServingError: there is no such model, or no answer.
        """
        return self._connection.run(self._session.model_config(model))

    def close(self) -> None:
        """Close the connection."""
        try:
            self._connection.run(self._session.close())
        finally:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream:
    """Images one after the other, one at a time; ``Client.stream`` starts one.

    with client.stream() as stream:
        for frame in frames:
            print(stream.predict(frame).label)
    """

    def __init__(self, connection: Connection, session: StreamSession) -> None:
        self._connection = connection
        self._session = session

    def predict(self, image: EncodedImage, time: float | None = None) -> StreamPrediction:
        """Predict the expression on the largest face of the stream's next image.

        The smoothing is exponential in time: after half a second, unless the server is set up otherwise, an
        image weighs 1/e of what it did. An image without a face changes nothing.

        Args:
            image: a JPEG or PNG file, as for ``Client.predict``.
            time: seconds of the image on any clock that does not go back, such as the video's; None is now.

        Raises:
            ImageError: the image is refused; the stream goes on.
            ServingError: as for ``Client.predict``, or the server has forgotten the stream.
            UsageError: the stream is closed.
        """
        return self._connection.run(self._session.predict(image, time))

    def close(self) -> None:
        """End the stream; without this a server that stops waits for it, up to ten seconds."""
        self._connection.run(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
