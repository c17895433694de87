"""The gateway's documentation and its cross-origin answers in a real browser."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("starlette")
pytest.importorskip("playwright")

from tests.serving.gateway.in_thread import gateway_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


def test_the_documentation_predicts_and_asks_no_other_server(
    server: TritonProcess, browser: Browser, tmp_path: Path
) -> None:
    requests: list[str] = []
    problems: list[str] = []
    with gateway_in_thread(server.endpoints.grpc) as gateway, browser.new_context() as context:
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        home = f"http://127.0.0.1:{gateway.port}"
        page.goto(f"{home}/docs")
        assert f"{home}/v1/predict" in page.inner_text("main")
        (tmp_path / "face.jpg").write_bytes(known_face())
        page.set_input_files("#image", tmp_path / "face.jpg")
        page.click("text=Predict")
        page.wait_for_selector("text=1 answered")
        label = gateway.ask(body=known_face())[1]["predictions"][0]["label"]
        assert page.inner_text("td:nth-child(2)") == label
        assert page.locator(".box").count() == 1
        assert problems == []
        (tmp_path / "face.jpg").write_bytes(b"none")
        page.set_input_files("#image", tmp_path / "face.jpg")
        page.click("text=Predict")
        page.wait_for_selector("text=/^422: /")
        own = [url for url in requests if url.startswith((f"{home}/", "data:", "blob:"))]
        assert requests == own
        assert f"{home}/v1/predict" in own
        # The refused image is the only one.
        assert all("422" in problem for problem in problems), problems


@pytest.mark.parametrize("listed", [True, False])
def test_a_page_of_another_origin(server: TritonProcess, browser: Browser, listed: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    listed_origins = (origin,) if listed else ("https://app.example",)
    with (
        gateway_in_thread(server.endpoints.grpc, port=port, origins=listed_origins),
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(f"{origin}/livez")
        # The same gateway by another name is another origin; the header makes the browser ask first.
        ask = "{method: 'POST', headers: {Authorization: 'x'}}"
        ask = f"fetch('http://localhost:{port}/v1/predict', {ask})"
        outcome = page.evaluate(f"{ask}.then(answer => answer.status, () => 'blocked')")
        assert outcome == (422 if listed else "blocked")
