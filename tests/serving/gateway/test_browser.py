"""The gateway's page and its cross-origin answers in a real browser; without one this is skipped."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.gateway.in_thread import gateway_in_thread

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
]
SUBMIT = """new Promise(done => {
  const state = document.getElementById("state");
  new MutationObserver(() => { if (!state.textContent.startsWith("Asking")) done(state.textContent) })
    .observe(state, { childList: true });
  document.querySelector("button").click();
})"""


class Page:
    """A page of a headless browser, driven by Chromium's DevTools protocol over pipes."""

    def __init__(self, answers: IO[bytes], commands: IO[bytes]) -> None:
        self._read, self._write = answers, commands
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        self.requests: list[str] = []
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        self._write.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        while (event := self._next()).get("method") != "Page.loadEventFired":
            self._note(event)

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def choose(self, selector: str, file: Path) -> None:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read.fileno(), 65536)
            assert part, "the browser ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.problems.append(json.dumps(event["params"]))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-pipe"]
    (to_browser, write), (read, from_browser) = os.pipe(), os.pipe()
    # The browser reads commands from descriptor 3 and answers on 4.
    ends = [(os.POSIX_SPAWN_DUP2, to_browser, 3), (os.POSIX_SPAWN_DUP2, from_browser, 4)]
    silent = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    process = os.posix_spawn(str(BROWSER), [str(BROWSER), *options], os.environ, file_actions=[*ends, silent])
    os.close(to_browser)
    os.close(from_browser)
    with os.fdopen(read, "rb") as answers, os.fdopen(write, "wb", buffering=0) as commands:
        try:
            yield Page(answers, commands)
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)


def test_the_page_predicts_and_asks_no_other_server(
    server: TritonProcess, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "face.jpg").write_bytes(known_face())
    with gateway_in_thread(server.endpoints.grpc) as gateway:
        home = f"http://127.0.0.1:{gateway.port}"
        page.open(f"{home}/docs")
        assert f"{home}/v1/predict" in page.evaluate("document.querySelector('main').textContent")
        page.choose("#image", tmp_path / "face.jpg")
        assert page.evaluate(SUBMIT) == "1 answered"
        label = gateway.ask(body=known_face())[1]["predictions"][0]["label"]
        assert page.evaluate("document.querySelector('td:nth-child(2)').textContent") == label
        assert page.evaluate("document.querySelectorAll('.box').length") == 1
        (tmp_path / "face.jpg").write_bytes(b"none")
        page.choose("#image", tmp_path / "face.jpg")
        assert page.evaluate(SUBMIT).startswith("422: ")
        own = [url for url in page.requests if url.startswith((f"{home}/", "data:", "blob:"))]
        assert page.requests == own
        assert f"{home}/v1/predict" in own
        # The refused image is the only one.
        assert all("422" in problem for problem in page.problems), page.problems


@pytest.mark.parametrize("listed", [True, False])
def test_a_page_of_another_origin(server: TritonProcess, page: Page, listed: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    listed_origins = (origin,) if listed else ("https://app.example",)
    with gateway_in_thread(server.endpoints.grpc, port=port, origins=listed_origins):
        page.open(f"{origin}/livez")
        # The same gateway by another name is another origin; the header makes the browser ask first.
        ask = "{method: 'POST', headers: {Authorization: 'x'}}"
        ask = f"fetch('http://localhost:{port}/v1/predict', {ask})"
        outcome = page.evaluate(f"{ask}.then(answer => answer.status, () => 'blocked')")
        assert outcome == (422 if listed else "blocked")
