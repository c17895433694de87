"""Clients of the soak: right, broken, late, canceled and abandoned requests, and how each must end."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lnlattennet.benchmarks.serving.soak._expected import (
    LARGE,
    MAX_FACES,
    TOLERANCE,
    Expected,
    WrongAnswerError,
    compare,
)
from lnlattennet.errors import DeadlineError, ImageError, ServingError, require
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED

_PATIENT_SECONDS = 120.0
"""Deadline of requests that must be answered, even on a busy machine."""

_SMOOTHING_SECONDS = 0.5

_NO_IMAGES = (b"not an image", b"GIF89a\x10\0\x10\0\0\0\0;", b"\xff\xd8\xff\xe0\0\x10JFIF")


@contextlib.contextmanager
def _no_answer() -> Iterator[None]:
    """Raise ServingError where a visit without the product's client does not reach the server."""
    refused = require("tritonclient.utils", "triton").InferenceServerException
    try:
        yield
    except (OSError, refused) as error:
        raise ServingError(str(error)) from error


class Visitor:
    """One client of a server; it must stay in one thread.

    Args:
        urls: "grpc" and "http" -> address.
        expected: what it sends, and the right answers.
        seed: of its choices.
    """

    def __init__(self, urls: Mapping[str, str], expected: Expected, seed: int) -> None:
        self._urls = urls
        self._expected = expected
        self._random = random.Random(seed)  # noqa: S311 - choices of a load
        self._clients: dict[tuple[str, str], Client] = {}

    def choose(self) -> Callable[[], None]:
        """Return the method to call next.

        It raises WrongAnswerError for a wrong answer, another LnlAttenNetError for none where one is due.
        """
        (kind,) = self._random.choices([*KINDS], [*KINDS.values()])
        method: Callable[[], None] = getattr(self, kind)
        return method

    def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def one_image(self) -> None:
        """Send an image of any size but the largest."""
        self._largest_faces([self._name()])

    def large_image(self) -> None:
        """Send a camera's image."""
        self._largest_faces([LARGE])

    def large_batch(self) -> None:
        """Send as many of them as a request may hold, up to 8."""
        self._largest_faces([LARGE] * min(8, self._expected.most_images))

    def batch(self) -> None:
        """Send several images at once."""
        count = self._random.randint(1, min(6, self._expected.most_images))
        self._largest_faces([self._name() for _ in range(count)])

    def every_face(self) -> None:
        """Ask for every face of an image."""
        name = self._name()
        answers = self._client().predict(self._expected.images[name], MAX_FACES)
        compare(answers, self._expected.every[name])

    def ready_crops(self) -> None:
        """Send crops of faces."""
        count = self._random.randint(1, len(self._expected.crops))
        answers = self._client().predict_crops(self._expected.crops[:count])
        compare(answers, self._expected.of_crops[:count])

    def stream(self) -> None:
        """Send a stream, whose smoothed probabilities follow from the raw ones."""
        frames = [(moment, self._random.choice(["512", "crop 112", "PNG"])) for moment in (0.0, 0.1, 0.5)]
        smoothed, before = np.zeros(1), -np.inf
        with self._client().stream() as stream:
            for moment, name in frames:
                answer = stream.predict(self._expected.images[name], moment)
                raw = self._expected.largest[name]
                compare([answer.raw], [raw])
                weight = -np.expm1((before - moment) / _SMOOTHING_SECONDS)
                smoothed = smoothed + weight * (np.array([*raw.probabilities.values()]) - smoothed)
                before = moment
                if not np.abs(smoothed - [*answer.probabilities.values()]).max() <= TOLERANCE:
                    raise WrongAnswerError(f"smoothed {answer.probabilities}, expected {smoothed.tolist()}")

    def malformed(self) -> None:
        """Send a file that is no image, alone or behind one, which must be refused."""
        image = self._expected.images["crop 112"]
        broken = self._random.choice([*_NO_IMAGES, image[: len(image) // 2]])
        batch = [image] * self._random.randint(0, min(1, self._expected.most_images - 1)) + [broken]
        try:
            self._client().predict(batch)
        except ImageError:
            return
        raise WrongAnswerError(f"a broken file of {len(broken)} bytes was answered")

    def late(self) -> None:
        """Allow hardly any time: the answer is right, or it comes too late."""
        name = self._name()
        with contextlib.suppress(DeadlineError), Client(self._url(), self._model(), timeout=0.02) as client:
            compare([client.predict(self._expected.images[name])], [self._expected.largest[name]])

    def canceled(self) -> None:
        """Cancel a request that is under way; the connection stays."""
        with _no_answer(), self._grpc() as client:
            request = self._begin(client)
            time.sleep(self._random.uniform(0, 0.03))
            request.cancel()
            client.is_server_live()

    def gone_http(self) -> None:
        """Reset a connection: before a request, in its middle, or before the answer."""
        host, _, port = self._urls["http"].removeprefix("http://").rpartition(":")
        request = raw_request(self._expected.images[self._name()])
        sent = self._random.choice([0, 30, len(request) // 2, len(request)])
        with _no_answer(), socket.create_connection((host, int(port)), _PATIENT_SECONDS) as connection:
            connection.sendall(request[:sent])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def gone_grpc(self) -> None:
        """Close a connection with a request in flight."""
        with _no_answer(), self._grpc() as client:
            self._begin(client)

    def _grpc(self) -> Any:
        triton = require("tritonclient.grpc", "triton")
        return triton.InferenceServerClient(self._urls["grpc"].removeprefix("grpc://"))

    def _begin(self, client: Any) -> Any:
        """Send a request, and return at once what can cancel it."""
        tensor = require("tritonclient.grpc", "triton").InferInput("image", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[self._expected.images[self._name()]]], np.object_))
        return client.async_infer(self._model(), [tensor], lambda result, error: None)

    def _largest_faces(self, names: list[str]) -> None:
        answers = self._client().predict([self._expected.images[name] for name in names])
        compare(answers, [self._expected.largest[name] for name in names])

    def _name(self) -> str:
        return self._random.choice([name for name in self._expected.images if name != LARGE])

    def _url(self) -> str:
        return self._urls[self._random.choice(["grpc", "http"])]

    def _model(self) -> str:
        return self._random.choice([ENSEMBLE, FUSED])

    def _client(self) -> Client:
        """Return one of the clients that are kept; faces, crops and streams have models of their own."""
        key = self._url(), self._model()
        if key not in self._clients:
            self._clients[key] = Client(*key, timeout=_PATIENT_SECONDS)
        return self._clients[key]


KINDS: Mapping[str, float] = {
    Visitor.one_image.__name__: 10,
    Visitor.batch.__name__: 4,
    Visitor.every_face.__name__: 4,
    Visitor.ready_crops.__name__: 4,
    Visitor.stream.__name__: 2,
    Visitor.malformed.__name__: 4,
    Visitor.late.__name__: 2,
    Visitor.canceled.__name__: 2,
    Visitor.gone_http.__name__: 3,
    Visitor.gone_grpc.__name__: 2,
    Visitor.large_image.__name__: 1,
}
"""What clients do, and how often, relative to each other."""


def raw_request(image: bytes) -> bytes:
    """Return an HTTP request whose body is an image, in Triton's raw form."""
    head = f"POST /v2/models/{FUSED}/infer HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(image)}\r\n"
    return f"{head}Inference-Header-Content-Length: 0\r\n\r\n".encode() + image
