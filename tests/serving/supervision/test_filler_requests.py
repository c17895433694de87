"""Requests that keep a dead process busy: where they go, and for which model."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from lnlattennet.serving.supervision._filler_requests import filler_requests
from lnlattennet.serving.triton._endpoints import Endpoints


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def endpoints(listening: socket.socket) -> Endpoints:
    return Endpoints("127.0.0.1", listening.getsockname()[1], 1, 2)


def test_they_go_to_a_model_of_the_broken_pipeline(listening: socket.socket) -> None:
    with filler_requests(endpoints(listening), ["expression_pipeline_2"]):
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(64).startswith(b"POST /v2/models/expression_fused/infer ")


def test_another_model_has_no_process_that_they_would_spare(listening: socket.socket) -> None:
    with filler_requests(endpoints(listening), ["expression_smoothing"]):
        time.sleep(0.2)
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.accept()
