"""Arguments of a client that break a rule, and clients that are used where they cannot work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ImageError, ImageTypeError, LnlAttenNetError, ServingError, UsageError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._calls import Dialog, ReadConfig
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._connection import Connection
from lnlattennet.serving.client._description import read_description
from lnlattennet.serving.client._failures import Failures
from lnlattennet.serving.client._protocols import choose_protocol
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.test_client import jpeg

pytest.importorskip("tritonclient")

SCHEMES = ["grpc", "http"]
NOWHERE = "grpc://127.0.0.1:1"


@pytest.mark.parametrize("retries", [-1, 11, "3", 1.5, float("nan"), None])
def test_retries(retries: Any) -> None:
    with pytest.raises(UsageError, match="retries must be a whole number from 0 to 10"):
        Client(NOWHERE, retries=retries)


@pytest.mark.parametrize("model", [None, 5, b"expression", "expression_faces", "expression/versions/1"])
def test_models(model: Any) -> None:
    with pytest.raises(UsageError, match="a client's model is 'expression' or"):
        Client(NOWHERE, model)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([("a", "b")], "must be a mapping"),
        ("a:b", "must be a mapping"),
        ({"a b": "c"}, "a header's name"),
        ({"": "c"}, "a header's name"),
        ({":path": "/x"}, "a header's name"),
        ({"a": "b\nc: d"}, "printable ASCII"),
        ({"Content-Length": "5"}, "leave out"),
        ({"transfer-encoding": "chunked"}, "leave out"),
        ({"Content-Encoding": "gzip"}, "leave out"),
        ({"grpc-timeout": "1n"}, "leave out"),
        ({"key-bin": "abc"}, "leave out"),
    ],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_headers(scheme: str, headers: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Client(f"{scheme}://127.0.0.1:1", headers=headers)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_closed_client_says_so(server: TritonProcess, scheme: str) -> None:
    client = Client(getattr(server.endpoints, scheme))
    stream = client.stream()
    stream.predict(jpeg())
    client.close()
    client.close()
    for question in (client.predict, stream.predict):
        with pytest.raises(UsageError, match="this client is closed; make another"):
            question(jpeg())
    stream.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_that_is_closed_between_two_calls_of_a_question_fails_it(
    server: TritonProcess, scheme: str
) -> None:
    """Whoever waits asked while it was open, so that is no wrong use."""
    protocol = choose_protocol(getattr(server.endpoints, scheme), 10, None, None)

    def question() -> Dialog[None]:
        yield ReadConfig("expression", 10)
        connection.close()
        yield ReadConfig("expression", 10)

    connection = Connection(protocol)
    with pytest.raises(ServingError, match="closed before all was answered"):
        connection.run(question())
    with pytest.raises(UsageError, match="make another"):
        connection.run(question())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_asyncio_client_belongs_to_its_loop(server: TritonProcess, scheme: str) -> None:
    async def misuse() -> None:
        async with AsyncClient(getattr(server.endpoints, scheme)) as client:
            stream = client.stream()
            with pytest.raises(UsageError, match="open already"):
                await client.__aenter__()
            with pytest.raises(UsageError, match="only in the event loop that opened it"):
                await asyncio.to_thread(lambda: asyncio.run(client.predict(jpeg())))
            # Closed at once, while it is asked about, and somewhere in its answers.
            waiting = []
            for seconds in (0, 0.002, 0.05):
                waiting.append(asyncio.create_task(client.predict([jpeg()] * 20)))
                await asyncio.sleep(seconds)
        for prediction in waiting:
            with pytest.raises(ServingError):  # and no cancellation, which nobody asked for
                await prediction
        with pytest.raises(UsageError, match="closed"):
            await stream.predict(jpeg())

    asyncio.run(misuse())


@pytest.mark.parametrize(
    "crops",
    [None, 7, b"abc", "face.jpg", {"a": 1}, np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.float32)],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_no_crops(server: TritonProcess, bundle_path: Path, crops: Any) -> None:
    bundle = Bundle.load(bundle_path)
    with Client(server.endpoints.grpc) as client:
        for predict in (client.predict_crops, bundle.predict):
            with pytest.raises(ImageTypeError, match=r"crops of faces must be .*, got .*one crop as a list"):
                predict(crops)


def test_crops_one_after_the_other(server: TritonProcess) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    with Client(server.endpoints.grpc) as client:
        assert client.predict_crops(crop for crop in crops) == client.predict_crops(crops)  # type: ignore[arg-type]


@pytest.mark.parametrize("faces", [None, [[1]], np.zeros((0, 3, 8, 8), np.float32), np.zeros((1, 3, 8, 8))])
def test_what_holds_no_normalized_faces(server: TritonProcess, faces: Any) -> None:
    with Client(server.endpoints.grpc) as client, pytest.raises(ImageError, match="normalized faces must be"):
        client.engine_outputs(faces)


def texts(**parameters: str) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": text} for name, text in parameters.items()}}


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"parameters": None},
        texts(class_names="5", grid="4"),
        texts(class_names="[1, 2]", grid="4"),
        texts(class_names="[]", grid="4"),
        texts(class_names='["a"]', grid="-4"),
        texts(class_names='["a"]', grid="4") | {"max_batch_size": "x"},
    ],
)
def test_other_models_are_told(config: Any) -> None:
    with pytest.raises(ServingError, match="has no usable parameters class_names and grid"):
        read_description("expression", config)


PAGE = "an exception occurred in the client while decoding the response: Invalid value.\nresponse: "


@pytest.mark.parametrize(
    ("kind", "status", "message", "expected"),
    [
        ("http", "401", PAGE + "no key", r"does not let this client in: no key \(HTTP 401\); send its key"),
        ("http", "403", "forbidden", r"does not let this client in: forbidden"),
        ("grpc", "UNAUTHENTICATED", "who?", r"does not let this client in: who\?"),
        (
            "http",
            "502",
            PAGE + "<html>\n<title>Bad\nGateway</title>",
            r"no answer .*a page in HTML, 'Bad Gateway'",
        ),
        ("http", "504", "client received an empty response from the server.", r"no answer .*gave no reason"),
        (
            "http",
            "404",
            PAGE + "<!DOCTYPE HTML>\n<p>Not\n",
            r"^the server at x refused: a page in HTML; [^\n]*$",
        ),
        ("grpc", "RESOURCE_EXHAUSTED", "received metadata size exceeds hard limit", "requests of this size"),
    ],
)
def test_answers_of_proxies(kind: str, status: str, message: str, expected: str) -> None:
    translate: Callable[..., LnlAttenNetError] = getattr(Failures("x", 1), f"of_{kind}")
    assert re.search(expected, str(translate(status, message, sends_images=False)))
