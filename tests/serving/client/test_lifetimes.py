"""Clients that outlive what they were made with: another server behind their address, another process."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lnlattennet.errors import ServingError
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._calls import ReadConfig
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._description import ModelDescription
from lnlattennet.serving.client._session import Session
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.fake_triton import OUTPUTS, FakeTriton, fake_triton


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


def outputs_for_two_faces(versions: Iterator[str]) -> Any:
    """What a client makes of a server that takes one face at a time and answers by these versions."""
    session = Session("expression", 10.0, 0, shared_memory=False)
    session.description = ModelDescription(["sad", "glad"], 1, "", "", "", 1, {}, version="1")
    dialog: Any = session.engine_outputs(np.zeros((2, 3, 8, 8), np.float32))
    answer: Any = None
    try:
        while True:
            call = dialog.send(answer)
            if isinstance(call, ReadConfig):
                texts = {"class_names": '["sad", "glad"]', "grid": "1", "version": call.version}
                parameters = {name: {"string_value": text} for name, text in texts.items()}
                answer = {"parameters": parameters, "max_batch_size": 1}
            else:
                version = next(versions)
                answer = (
                    {
                        "logits": np.array([[0, int(version)]], np.float32),
                        "region_weights": OUTPUTS["region_weights"],
                        "region_affinity": OUTPUTS["region_affinity"],
                    },
                    version,
                )
    except StopIteration as end:
        return end.value


def test_a_version_that_changes_between_two_batches_is_asked_for_both() -> None:
    outputs = outputs_for_two_faces(iter("1222"))
    np.testing.assert_array_equal(outputs["logits"], [[0, 2], [0, 2]])


def test_versions_that_keep_changing_are_an_error() -> None:
    """As behind a balancer while one server after the other is changed."""
    with pytest.raises(ServingError, match=r"3 times the server changed its version.*ask again when"):
        outputs_for_two_faces(itertools.cycle("12"))


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
