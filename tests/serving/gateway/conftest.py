"""A real browser with a camera that plays rendered faces; without a browser its tests are skipped."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data.synthetic import render_face
from tests.serving.gateway.watched import Opened, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from lnlattennet.serving.triton._process import TritonProcess
    from tests.serving.gateway.in_thread import GatewayInThread

NAMES = ("chromium", "chromium-browser", "google-chrome")
SIDE = 320
SEEDS = (16, 17, 20, 12)
"""Of faces that the finder finds."""


@pytest.fixture(scope="session")
def rendered() -> list[NDArray[np.uint8]]:
    """Rendered faces, [SIDE, SIDE, 3]."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    faces = [render_face(seed, "happiness", size=SIDE, with_regions=False).image for seed in SEEDS]
    cv2.setNumThreads(threads)
    return faces


@pytest.fixture(scope="module")
def browser(rendered: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Chromium; its camera shows the rendered faces one after the other.

    While Playwright runs, its event loop is this thread's: not longer than a module, since others need one.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    film = tmp_path_factory.mktemp("camera") / "faces.mjpeg"
    film.write_bytes(b"".join(as_jpeg(face) for face in rendered for _ in range(10)))
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox", *camera])
        yield running
        running.close()


def as_jpeg(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=92)
    return stream.getvalue()


@pytest.fixture(scope="session")
def group(rendered: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with a face in each quarter."""
    path = tmp_path_factory.mktemp("group") / "group.jpg"
    path.write_bytes(as_jpeg(np.vstack([np.hstack(rendered[:2]), np.hstack(rendered[2:])])))
    return path


@pytest.fixture(scope="session")
def film(rendered: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WebM film of 4 s with one face after the other."""
    path = tmp_path_factory.mktemp("film") / "film.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 10, (SIDE, SIDE))
    assert writer.isOpened()
    for face in rendered:
        for _ in range(10):
            writer.write(np.ascontiguousarray(face[..., ::-1]))
    writer.release()
    return path


@pytest.fixture
def opened(browser: Browser) -> Opened:
    """Opens the page of a gateway's port in the browser."""
    return partial(open_page, browser)


@pytest.fixture(scope="module")
def gateway(server: TritonProcess, bundle_path: Path) -> Iterator[GatewayInThread]:
    """A gateway with the page; a module that needs another one has its own."""
    # Where the gateway's packages are missing, other tests of this folder are skipped, not broken.
    from lnlattennet.serving.gateway._engines import Engines
    from lnlattennet.serving.gateway._page import PageOptions
    from tests.serving.gateway.in_thread import gateway_in_thread

    options = PageOptions(Engines(Bundle.load(bundle_path)))
    with gateway_in_thread(server.endpoints.grpc, page=options) as running:
        yield running
