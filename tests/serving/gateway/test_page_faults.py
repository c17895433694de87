"""The page in a real browser when something fails: camera, files, key, gateway and model."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("starlette")
pytest.importorskip("playwright")

from lnlattennet.serving.gateway._page import PageOptions
from tests.serving.gateway.in_thread import GatewayInThread, gateway_in_thread
from tests.serving.gateway.watched import CARD, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow


def test_a_camera_that_is_refused_missing_or_gone(gateway: GatewayInThread, opened: Opened) -> None:
    with opened(gateway.port, camera=False) as page:
        page.page.click("text=Start camera")
        page.page.wait_for_selector("text=This page may not use the camera")
        page.page.context.grant_permissions(["camera"])
        page.page.click("text=Try again")
        page.page.wait_for_selector("text=Pause")
        assert not page.page.is_visible("#problem")
        ended = "document.querySelector('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        page.page.evaluate(ended)
        page.page.wait_for_selector("text=The camera is gone")
        missing = "() => Promise.reject(new DOMException('', 'NotFoundError'))"
        page.page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {missing}; }}")
        page.page.click("text=Start camera")
        page.page.wait_for_selector("text=There is no camera")


HELD_CAMERA = """
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async options => {
  await new Promise(allow => { window.allow = allow; });
  return window.stream = await ask(options);
};
"""
"""The browser asks for a permission that the test gives later."""

CAMERA_IS_OFF = "window.stream?.getTracks()[0].readyState === 'ended'"


def test_a_camera_that_is_allowed_too_late(gateway: GatewayInThread, opened: Opened, group: Path) -> None:
    with opened(gateway.port) as page:
        page.page.evaluate(f"() => {{ {HELD_CAMERA} }}")
        page.page.click("text=Start camera")
        page.page.set_input_files("#files", group)
        page.page.wait_for_selector(CARD)
        page.page.evaluate("window.allow()")
        while not page.page.evaluate(CAMERA_IS_OFF):
            page.page.wait_for_timeout(50)
        assert page.page.inner_text("#start") == "Start camera"
        assert not page.page.is_visible("#pause")
        assert page.page.inner_text("figcaption") == group.name


def test_a_camera_that_fails_after_it_was_allowed(gateway: GatewayInThread, opened: Opened) -> None:
    with opened(gateway.port) as page:
        failing = "navigator.mediaDevices.enumerateDevices = () => Promise.reject(new Error());"
        page.page.evaluate(f"() => {{ {HELD_CAMERA} {failing} }}")
        page.page.click("text=Start camera")
        page.page.evaluate("window.allow()")
        page.page.wait_for_selector("text=The camera cannot be opened")
        assert page.page.evaluate(CAMERA_IS_OFF)
        assert page.page.inner_text("#start") == "Start camera"


def test_an_answer_before_the_facts_about_the_server(
    gateway: GatewayInThread, opened: Opened, group: Path
) -> None:
    with opened(gateway.port) as page:
        held: list[Route] = []
        page.page.route("**/page/model", lambda route: held.append(route))
        page.page.reload()
        page.page.set_input_files("#files", group)
        page.page.wait_for_selector(CARD)
        assert not page.page.is_visible("#problem")
        held[0].continue_()
        page.wait("#serves", "Served by .*, model hash ")


def test_a_fault_of_the_page_itself_is_told(gateway: GatewayInThread, opened: Opened, group: Path) -> None:
    with opened(gateway.port) as page:
        page.page.route("**/v1/predict*", lambda route: route.fulfill(json={"predictions": []}))
        page.page.set_input_files("#files", group)
        page.page.wait_for_selector("text=This page failed: ")


def test_images_that_cannot_be_used(gateway: GatewayInThread, opened: Opened, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    # Noise grows: this is above the gateway's 1 MiB.
    noise = np.random.default_rng(1).integers(0, 256, (700, 700, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    with opened(gateway.port, faults="413|422") as page:
        for name, text in (
            ("notes.txt", "notes.txt is no image or video"),
            ("film.mp4", "This browser cannot play film.mp4"),
            ("small.png", "The server refused the image: "),
            ("large.png", "The image file is too large: an image file may have 1048576 bytes"),
        ):
            path = tmp_path / name
            if not path.exists():
                path.write_bytes(b"text")
            with page.page.expect_file_chooser() as chooser:
                page.page.click("#choose" if name == "notes.txt" else "#problem button")
            chooser.value.set_files(path)
            page.page.wait_for_selector(f"text={text}")


def test_the_key_stays_in_the_page(server: TritonProcess, opened: Opened, group: Path) -> None:
    key = "k" * 32
    with (
        gateway_in_thread(server.endpoints.grpc, keys=(key,), page=PageOptions()) as gateway,
        opened(gateway.port, faults="401") as page,
    ):
        page.page.wait_for_selector("text=asks for an API key")
        for given in ("wrong", key):
            page.page.fill("#key", given)
            page.page.click("text=Use key")
        page.page.wait_for_selector("#key-form", state="hidden")
        page.page.set_input_files("#files", group)
        page.page.wait_for_selector(CARD)
        # There is no bundle here whose engines could be compared.
        assert not page.page.is_visible("#compare")
        kept = page.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
        assert kept == [0, 0, ""]
        assert not any(key in url for url in page.requests)
        page.page.reload()
        page.page.wait_for_selector("#key-form")


def test_the_gateways_rate(server: TritonProcess, opened: Opened) -> None:
    with (
        gateway_in_thread(server.endpoints.grpc, rate=2, page=PageOptions()) as gateway,
        opened(gateway.port, faults="429") as page,
    ):
        # Alone, it stays below the rate.
        page.page.click("text=Start camera")
        page.wait("#count", "last 4")
        assert page.problems == []
        while "Too many requests for this gateway" not in page.page.inner_text("#problem"):
            gateway.ask(body=b"")
            page.page.wait_for_timeout(50)
        page.page.wait_for_selector("#problem", state="hidden")


def test_a_gateway_that_goes_and_comes_back(server: TritonProcess, opened: Opened) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        gateway = first.enter_context(gateway_in_thread(server.endpoints.grpc, page=PageOptions()))
        page = stack.enter_context(opened(gateway.port, faults="Failed to load resource"))
        page.page.click("text=Start camera")
        page.wait("#count", "answer")
        first.close()
        page.page.wait_for_selector("text=The gateway does not answer")
        stack.enter_context(gateway_in_thread(server.endpoints.grpc, port=gateway.port, page=PageOptions()))
        page.page.wait_for_selector("#problem", state="hidden")


def test_a_model_that_hangs(server: TritonProcess, opened: Opened) -> None:
    with (
        gateway_in_thread(server.endpoints.grpc, timeout=1, page=PageOptions()) as gateway,
        opened(gateway.port, faults="504") as page,
    ):
        page.page.click("text=Start camera")
        page.wait("#count", "answer")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            page.page.wait_for_selector("text=The model took too long")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        page.page.wait_for_selector("#problem", state="hidden")
