"""What the gateway answers for its page, without a browser."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle.doctor._local import runnable_engines
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("starlette")

from lnlattennet.serving.gateway._engines import Engines
from lnlattennet.serving.gateway._page import PageOptions
from lnlattennet.serving.gateway._page_address import page_socket
from tests.serving.gateway.in_thread import gateway_in_thread

pytestmark = pytest.mark.slow


def test_an_answer_does_not_wait_for_the_acknowledgment_of_its_head() -> None:
    with page_socket(0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_there_is_no_page_unless_it_is_asked_for(server: TritonProcess) -> None:
    with gateway_in_thread(server.endpoints.grpc) as gateway:
        for path in ("/page", "/page/page.js", "/page/model"):
            assert gateway.ask(path, method="GET")[0] == 404


def test_another_sites_name_for_this_machine_is_refused(server: TritonProcess) -> None:
    options = PageOptions(hosts=("127.0.0.1",))
    with gateway_in_thread(server.endpoints.grpc, page=options) as gateway:
        assert gateway.ask("/page", method="GET")[0] == 200
        with gateway.connect(b"GET /page/model HTTP/1.1\r\nHost: site.example\r\n\r\n") as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_engines_answer_like_predictors(server: TritonProcess, group: Path, bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    page = PageOptions(Engines(bundle))
    with gateway_in_thread(server.endpoints.grpc, page=page) as gateway:
        status, document, _ = gateway.ask("/page/engines", group.read_bytes())
        assert status == 200
        assert [answer["engine"] for answer in document["engines"]] == runnable_engines(bundle.manifest)
        for answer in document["engines"]:
            expected = LocalPredictor(bundle, answer["engine"]).predict(group.read_bytes(), 100)
            assert answer["predictions"] == json.loads(json.dumps([face.to_dict() for face in expected]))
        assert gateway.ask("/page/engines", b"none")[0] == 422
