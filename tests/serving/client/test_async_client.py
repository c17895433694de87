"""The client for asyncio: the answers and errors of the blocking one, many at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import numpy as np
import pytest

from lnlattennet.errors import ImageError, LnlAttenNetError, ServingError, UnreachableError, UsageError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._stream import StreamPrediction
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.test_client import answering, jpeg

pytest.importorskip("tritonclient")

SCHEMES = ["grpc", "http"]
_Result = TypeVar("_Result")


def ask(url: str, question: Callable[[AsyncClient], Awaitable[_Result]], **options: float) -> _Result:
    async def run() -> _Result:
        async with AsyncClient(url, **options) as client:  # type: ignore[arg-type]
            return await question(client)

    return asyncio.run(run())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_clients_answer_alike(server: TritonProcess, scheme: str) -> None:
    images = [jpeg(10 * shift) for shift in range(10)]
    crops = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    url = getattr(server.endpoints, scheme)

    async def question(client: AsyncClient) -> None:
        assert client.description == blocking.description
        assert await client.predict(images[0]) == blocking.predict(images[0])
        assert await client.predict(images[:1], max_faces=2) == blocking.predict(images[:1], max_faces=2)
        assert await client.predict_crops(crops) == blocking.predict_crops(crops)
        assert [face.face_box for face in await client.predict(images)] == boxes
        async with client.stream() as stream:
            with blocking.stream() as other:
                for moment in (0.0, 0.3):
                    answer = await stream.predict(images[3], moment)
                    assert answer == other.predict(images[3], moment)

    with Client(url) as blocking:
        boxes = [face.face_box for face in blocking.predict(images)]
        ask(url, question)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_many_requests_at_once_get_their_own_answers(server: TritonProcess, scheme: str) -> None:
    images = [jpeg(15 * shift) for shift in range(6)]

    async def question(client: AsyncClient) -> list[object]:
        broken = client.predict(b"GIF89a")
        return list(await asyncio.gather(*map(client.predict, images), broken, return_exceptions=True))

    with Client(server.endpoints.grpc) as blocking:
        boxes = [blocking.predict(image).face_box for image in images]
    *answers, refused = ask(getattr(server.endpoints, scheme), question)
    assert [getattr(answer, "face_box", answer) for answer in answers] == boxes
    assert len(set(boxes)) == len(boxes)
    assert type(refused) is ImageError
    assert str(refused).startswith("an image must be a JPEG or PNG file, got GIF")


async def nothing(client: AsyncClient) -> None:
    raise AssertionError("it connected")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_refused_connection_is_an_error_with_a_remedy(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        url = f"{scheme}://127.0.0.1:{closed_again.getsockname()[1]}"
    with pytest.raises(UnreachableError, match=f"no answer from a Triton server at {url}: .*serve BUNDLE"):
        ask(url, nothing)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_silence_ends_with_the_timeout(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ServingError, match=r"no answer within 0\.4 s"):
            ask(url, nothing, timeout=0.4)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ],
    ids=["hangs up", "ssh", "cut off", "not found", "list"],
)
def test_another_program_is_not_a_server(scheme: str, reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering(listener, reply)
        with pytest.raises(ServingError, match="lnlattennet serve BUNDLE"):
            ask(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", nothing, timeout=5)


def test_a_client_works_inside_its_context(server: TritonProcess) -> None:
    async def outside() -> None:
        client = AsyncClient(server.endpoints.grpc)
        with pytest.raises(UsageError, match="an AsyncClient works inside its context: async with"):
            await client.predict(jpeg())
        async with client:
            assert (await client.predict(jpeg())).face_found
        with pytest.raises(UsageError, match="an AsyncClient works inside its context: async with"):
            client.stream()

    asyncio.run(outside())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stream_takes_one_image_at_a_time(server: TritonProcess, scheme: str) -> None:
    async def question(client: AsyncClient) -> list[object]:
        async with client.stream() as stream:
            both = stream.predict(jpeg(), 0.0), stream.predict(jpeg(20), 0.1)
            answers: list[object] = list(await asyncio.gather(*both, return_exceptions=True))
            assert (await stream.predict(jpeg(40), 0.2)).raw.face_found
        return answers

    first, second = ask(getattr(server.endpoints, scheme), question)
    assert isinstance(first, StreamPrediction)
    assert isinstance(second, UsageError)
    assert "one image at a time" in str(second)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("model", ["expression_faces", "expression_tensor", "expression_stream"])
def test_models_with_a_method_are_not_chosen_by_name(client: type, model: str) -> None:
    with pytest.raises(UsageError, match=f"got '{model}'; faces, crops and streams have methods"):
        client("grpc://127.0.0.1:1", model)


def test_an_address_of_another_form_is_refused_at_once() -> None:
    with pytest.raises(LnlAttenNetError, match="a server's URL must be"):
        AsyncClient("127.0.0.1:8001")
