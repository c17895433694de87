"""A server that is set up in another way: shared memory for clients, streams that are soon forgotten."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import DeadlineError, ImageError, OverloadedError, ServingError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._calls import Infer, Pause, Register
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._description import ModelDescription
from lnlattennet.serving.client._session import Session
from lnlattennet.serving.triton._discovery import TritonServer
from lnlattennet.serving.triton._endpoints import choose_endpoints
from lnlattennet.serving.triton._model_config import read_config, write_config
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import deploy
from tests.serving.client.test_client import jpeg

pytest.importorskip("tritonclient")

SCHEMES = ["grpc", "http"]
IDLE_SECONDS = 1
CROPS = np.random.default_rng(1).integers(0, 256, (8, 80, 80, 3), np.uint8)
"""154 kB, one batch."""


@pytest.fixture(scope="module")
def open_server(
    bundle_path: Path, triton_server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonProcess]:
    deployment = deploy(Bundle.load(bundle_path), tmp_path_factory.mktemp("open") / "deployment")
    path = deployment.models / "expression_smoothing" / "config.pbtxt"
    config = read_config(path)
    config.sequence_batching.max_sequence_idle_microseconds = IDLE_SECONDS * 1_000_000
    write_config(config, path)
    endpoints = choose_endpoints("127.0.0.1", 0, 0, 0)
    with TritonProcess(triton_server, deployment, endpoints, shared_memory=True) as process:
        yield process


def own_regions() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("lnlattennet-client-*")}  # noqa: S108


def registered(server: TritonProcess) -> set[str]:
    """Names of the regions that the server has mapped."""
    triton: Any = importlib.import_module("tritonclient.grpc")
    with triton.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
        return set(client.get_system_shared_memory_status(as_json=True).get("regions", {}))


def logits(faces: Any) -> NDArray[np.float32]:
    return np.array([face.logits for face in faces])


@pytest.fixture(scope="module")
def expected(bundle_path: Path) -> NDArray[np.float32]:
    return logits(Bundle.load(bundle_path).predict(CROPS))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_region_carries_every_batch_and_is_given_back(
    open_server: TritonProcess, expected: NDArray[np.float32], scheme: str
) -> None:
    with Client(getattr(open_server.endpoints, scheme), shared_memory=True) as client:
        for order in (slice(None), slice(None, None, -1)):
            np.testing.assert_allclose(logits(client.predict_crops(CROPS[order])), expected[order], atol=1e-4)
        assert len(registered(open_server)) == 1
        assert own_regions() == registered(open_server)
        # Smaller ones are not worth a region.
        np.testing.assert_allclose(logits(client.predict_crops(CROPS[:1])), expected[:1], atol=1e-4)
    assert own_regions() == registered(open_server) == set()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_requests_at_once_have_regions_of_their_own(
    open_server: TritonProcess, expected: NDArray[np.float32], scheme: str
) -> None:
    async def ask() -> None:
        url = getattr(open_server.endpoints, scheme)
        async with AsyncClient(url, shared_memory=True) as client:
            rolled = [client.predict_crops(np.roll(CROPS, shift, axis=0)) for shift in range(5)]
            for shift, answer in enumerate(await asyncio.gather(*rolled)):
                np.testing.assert_allclose(logits(answer), np.roll(expected, shift, axis=0), atol=1e-4)
            assert 1 < len(registered(open_server)) <= 5

    asyncio.run(ask())
    assert own_regions() == registered(open_server) == set()


def test_threads_share_a_client(open_server: TritonProcess, expected: NDArray[np.float32]) -> None:
    def ask(shift: int) -> None:
        for _ in range(3):
            answer = client.predict_crops(np.roll(CROPS, shift, axis=0))
            np.testing.assert_allclose(logits(answer), np.roll(expected, shift, axis=0), atol=1e-4)

    with Client(open_server.endpoints.grpc, shared_memory=True) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert own_regions() == registered(open_server) == set()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_forgot_a_region_is_told_again(
    open_server: TritonProcess, expected: NDArray[np.float32], scheme: str
) -> None:
    """As after a restart."""
    triton: Any = importlib.import_module("tritonclient.grpc")
    with Client(getattr(open_server.endpoints, scheme), shared_memory=True) as client:
        client.predict_crops(CROPS)
        with triton.InferenceServerClient(open_server.endpoints.grpc.removeprefix("grpc://")) as other:
            while registered(open_server):
                # Triton refuses it as long as it counts the request that was just answered.
                with suppress(triton.InferenceServerException):
                    other.unregister_system_shared_memory()
        np.testing.assert_allclose(logits(client.predict_crops(CROPS)), expected, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_allows_no_shared_memory_says_how(server: TritonProcess, scheme: str) -> None:
    with (
        Client(getattr(server.endpoints, scheme), shared_memory=True) as client,
        pytest.raises(ServingError, match=r"lets no client use this: .* `lnlattennet serve BUNDLE --sha"),
    ):
        client.predict_crops(CROPS)
    assert own_regions() == set()


def session_after(error: Exception) -> tuple[Session, list[Any]]:
    """A session whose first request ended with an error, and the calls that it made."""
    session = Session("expression", 10.0, 0, shared_memory=True)
    session.description = ModelDescription(["a"], 1, "", "", "", 8, {})
    with closing(session.predict_crops(CROPS)) as dialog:
        calls: list[Any] = [next(dialog), dialog.send(None)]
        with pytest.raises(type(error)):
            dialog.throw(error)
    return session, calls


@pytest.mark.parametrize(
    "error", [ImageError("too small"), OverloadedError("full"), DeadlineError("too slow")]
)
def test_a_region_is_let_go_of_whatever_its_request_ended_with(error: Exception) -> None:
    session, [register, infer] = session_after(error)
    assert isinstance(register, Register)
    assert isinstance(infer, Infer)
    assert infer.region is register.region
    closing_calls: list[Any] = list(session.close())
    assert [(call.region, call.mapped) for call in closing_calls] == [(register.region, False)]
    assert own_regions() == set()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_canceled_request_leaves_no_region(open_server: TritonProcess, scheme: str) -> None:
    async def ask() -> None:
        async with AsyncClient(getattr(open_server.endpoints, scheme), shared_memory=True) as client:
            await client.predict_crops(CROPS)
            canceled = asyncio.create_task(client.predict_crops(CROPS))
            await asyncio.sleep(0.002)
            canceled.cancel()
            with suppress(asyncio.CancelledError):
                await canceled

    asyncio.run(ask())
    assert own_regions() == registered(open_server) == set()


def test_a_region_that_the_server_still_counts_as_used_is_let_go_of_later() -> None:
    session, _ = session_after(ImageError("too small"))
    dialog: Any = session.close()
    assert not next(dialog).mapped
    refusal = ServingError("Cannot unregister shared memory region 'a', it is currently in use.")
    assert isinstance(dialog.throw(refusal), Pause)
    assert not next(dialog).mapped
    with pytest.raises(StopIteration):
        dialog.send(None)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_idle_stream_is_forgotten_with_an_error(open_server: TritonProcess, scheme: str) -> None:
    with Client(getattr(open_server.endpoints, scheme)) as client:
        with client.stream() as stream, client.stream() as busy:
            stream.predict(jpeg())
            for _ in range(8):
                busy.predict(jpeg())
                time.sleep(IDLE_SECONDS / 4)
            with pytest.raises(ServingError, match="the server has forgotten this stream: no image came for"):
                stream.predict(jpeg())
            assert busy.predict(jpeg()).raw.face_found
        with client.stream() as another:
            assert another.predict(jpeg()).raw.face_found
