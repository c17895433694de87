"""Clients that outlive what they were made with: another server behind their address, another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.fake_triton import FakeTriton, fake_triton


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with fake_triton() as server:
        yield server


@pytest.mark.parametrize("class_names", [("down", "up"), ("glad", "sad"), ("bad", "sad", "glad")])
def test_another_server_behind_the_address(fake: FakeTriton, class_names: tuple[str, ...]) -> None:
    with Client(fake.url) as client, client.stream() as stream:
        assert [client.predict(b"\xff\xd8").label, stream.predict(b"\xff\xd8").raw.label] == ["glad", "glad"]
        fake.class_names = class_names
        answer, every, smoothed = (
            client.predict(b"\xff\xd8"),
            client.predict_crops(np.zeros((1, 32, 32, 3), np.uint8)),
            stream.predict(b"\xff\xd8"),
        )
        assert answer.label == every[0].label == smoothed.raw.label == smoothed.label == class_names[-1]
        assert list(answer.probabilities) == list(smoothed.probabilities) == list(class_names)
        assert client.description.class_names == list(class_names)


def test_another_server_behind_the_address_of_asyncio(fake: FakeTriton) -> None:
    async def ask() -> str:
        async with AsyncClient(fake.url) as client:
            await client.predict(b"\xff\xd8")
            fake.class_names = ("down", "up")
            return (await client.predict(b"\xff\xd8")).label

    assert asyncio.run(ask()) == "up"


_FORKS = """
import os, signal, sys
from lnlattennet import Client
first = Client(sys.argv[1])
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not first.model_config("expression"))
signal.alarm(20)
os._exit(Client(sys.argv[1]).description != first.description)
"""


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_forked_process_makes_its_own_client(server: TritonProcess, scheme: str) -> None:
    url = getattr(server.endpoints, scheme)
    finished = subprocess.run([sys.executable, "-P", "-c", _FORKS, url], timeout=60, check=False)
    assert finished.returncode == 0
