"""The page in a real browser, before a real server: camera, files, engines, and who can use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving._predictor import LocalPredictor

pytest.importorskip("starlette")
pytest.importorskip("playwright")

from lnlattennet.serving.gateway import _app
from lnlattennet.serving.gateway._body import read_image
from tests.serving.gateway.conftest import as_jpeg
from tests.serving.gateway.in_thread import GatewayInThread
from tests.serving.gateway.watched import CARD, Opened, Watched

if TYPE_CHECKING:
    from playwright.sync_api import Request

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The images that the gateway gets at /v1/predict, in order."""
    images: list[bytes] = []

    async def noted(*arguments: Any) -> bytes:
        images.append(await read_image(*arguments))
        return images[-1]

    monkeypatch.setattr(_app, "read_image", noted)
    return images


def answers(gateway: GatewayInThread, image: bytes) -> list[dict[str, Any]]:
    status, document, _ = gateway.ask("/v1/predict?max_faces=100", image)
    assert status == 200
    faces: list[dict[str, Any]] = document["predictions"]
    return faces


def percent(share: float) -> Any:
    return pytest.approx(100 * share, abs=0.051)


def assert_shows(page: Watched, faces: list[dict[str, Any]]) -> None:
    """Every face has its card and its box, with the server's numbers."""
    cards = page.page.locator(CARD).all()
    assert len(cards) == page.page.locator("svg .box").count() == len(faces)
    corners = page.page.locator("svg .cell rect").evaluate_all(
        "cells => cells.map(cell => ['x', 'y', 'width'].map(name => Number(cell.getAttribute(name))))"
    )
    assert len(corners) == 16 * len(faces)
    for index, (card, face) in enumerate(zip(cards, faces, strict=True)):
        assert card.locator("h3").inner_text().startswith(f"{index + 1} {face['label']} ")
        names, shares = (card.locator(f".shares tbody {cell}").all_inner_texts() for cell in ("th", "td"))
        shown = dict(zip(names, (float(share.rstrip("%")) for share in shares), strict=True))
        assert shown == {name: percent(share) for name, share in face["probabilities"].items()}
        weights = [float(text) for text in card.locator(".regions td").all_inner_texts()]
        assert weights == pytest.approx(np.ravel(face["region_weights"]), abs=0.00051)
        left, top, right, _ = face["face_box"]
        side = (right - left) / 4
        expected = [(left + x * side, top + y * side, side) for y in range(4) for x in range(4)]
        assert np.allclose(corners[16 * index :][:16], expected)


def test_the_camera(gateway: GatewayInThread, opened: Opened, asked: list[bytes]) -> None:
    with opened(gateway.port) as page:
        changes = "new MutationObserver(() => { window.changes = (window.changes ?? 0) + 1; })"
        page.page.evaluate(f"{changes}.observe(document.getElementById('announcer'), {{ childList: true }})")
        in_flight = [0]
        predictions = f"http://localhost:{gateway.port}/v1/predict?max_faces=100"

        def count(step: int) -> Callable[[Request], None]:
            return lambda request: in_flight.append(in_flight[-1] + step * (request.url == predictions))

        page.page.on("request", count(1))
        page.page.on("requestfinished", count(-1))
        page.page.click("text=Start camera")
        page.wait("#count", "last ([5-9]|..)")
        assert max(in_flight) == 1
        page.page.wait_for_selector(CARD)
        page.page.click("text=Pause")
        # The frame that is shown is the one that was asked about last.
        while True:
            before = len(asked)
            page.page.wait_for_timeout(500)
            if len(asked) == before:
                break
        assert_shows(page, [face for face in answers(gateway, asked[-1]) if face["status"] != "no_face"])
        assert re.fullmatch(r"\d+ ms", page.page.inner_text("#p50"))
        assert re.match(r"(No face|1 face: )", page.page.inner_text("#announcer"))
        assert page.page.evaluate("window.changes") <= 1 + len(asked) / 5
        page.page.click("text=Stop camera")
        assert page.page.locator("video").count() == 0


def test_an_image_with_several_faces_and_every_engine(
    gateway: GatewayInThread, opened: Opened, group: Path, bundle_path: Path
) -> None:
    faces = answers(gateway, group.read_bytes())
    assert len(faces) >= 3
    bundle = Bundle.load(bundle_path)
    served = bundle.manifest.selected
    with opened(gateway.port) as page:
        page.page.set_input_files("#files", group)
        page.page.wait_for_selector(CARD)
        assert_shows(page, faces)
        assert served in page.page.inner_text("#serves")
        assert bundle.manifest.model_hash(served)[:12] in page.page.inner_text("#serves")
        page.page.check("text=Engines side by side")
        page.page.wait_for_selector(".shares tfoot")
        names = page.texts(f"{CARD}:first-child .shares thead th")
        assert names[0] == f"{served}, served"
        assert len(names) > 1
        rows = [row.split("\t") for row in page.texts(f"{CARD}:first-child .shares tr")]
        shown = {row[0]: row[1:] for row in rows[1:]}
        for column, name in enumerate(names[1:], start=1):
            other = LocalPredictor(bundle, name).predict(group.read_bytes(), 100)[0]
            differences = [abs(other.probabilities[n] - p) for n, p in faces[0]["probabilities"].items()]
            assert float(shown["happiness"][column].rstrip("%")) == percent(other.probabilities["happiness"])
            assert float(shown["probabilities differ by"][column].rstrip("%")) == pytest.approx(
                100 * max(differences), abs=0.0051
            )
        assert all(name in page.page.inner_text("#engine-times") for name in (served, *names[1:]))


def test_a_film_and_a_choice_of_files(
    gateway: GatewayInThread, opened: Opened, film: Path, group: Path, tmp_path: Path
) -> None:
    Image.open(group).save(tmp_path / "group.webp")
    with opened(gateway.port) as page:
        page.page.set_input_files("#files", [film, tmp_path / "group.webp"])
        page.wait("#count", "last ([3-9]|..)")
        page.page.wait_for_selector("svg .box", state="attached")
        assert page.page.inner_text("#place") == "1 of 2"
        page.page.press("#next", "Enter")
        assert page.page.evaluate("document.activeElement.id") == "previous"
        page.page.wait_for_selector(f"{CARD}:nth-child(3)")
        assert page.page.inner_text("figcaption") == "group.webp"


def test_with_the_keyboard_alone(gateway: GatewayInThread, opened: Opened) -> None:
    with opened(gateway.port) as page:
        keyboard = page.page.keyboard

        def focused() -> str:
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.page.evaluate(outline) == "solid"
            return str(page.page.evaluate("document.activeElement.textContent || document.activeElement.id"))

        page.page.wait_for_selector("#compare")
        keyboard.press("Tab")
        assert focused() == "Start camera"
        keyboard.press("Enter")
        page.page.wait_for_selector("text=Pause")
        keyboard.press("Tab")
        assert focused() == "Pause"
        keyboard.press("Space")
        assert focused() == "Go on"
        keyboard.press("Tab")
        assert focused() == "Choose images or videos"
        with page.page.expect_file_chooser():
            keyboard.press("Enter")
        for name in ("heat", "compare"):
            keyboard.press("Tab")
            assert focused() == name
            keyboard.press("Space")
        assert not page.page.is_checked("#heat")
        assert page.page.is_checked("#compare")
        keyboard.press("Tab")
        assert focused() == "About this server"
        keyboard.press("Enter")
        assert page.page.is_visible("text=Model hash, SHA-256")


@pytest.mark.parametrize("width", [390, 1440])
def test_widths_schemes_and_accessibility(
    gateway: GatewayInThread, opened: Opened, rendered: list[NDArray[np.uint8]], tmp_path: Path, width: int
) -> None:
    # One face: axe looks at every cell of every table.
    small = tmp_path / "face.jpg"
    small.write_bytes(as_jpeg(rendered[0]))
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def assert_fits(scheme: str) -> None:
        page.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(page.page).response["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []

    with opened(gateway.port, viewport={"width": width, "height": 800}) as page:
        page.page.set_input_files("#files", [small, small])
        page.page.check("text=Engines side by side")
        page.page.wait_for_selector(".shares tfoot")
        page.page.click("summary")
        assert_fits("light")
        assert_fits("dark")
        page.page.set_input_files("#files", {"name": "notes.txt", "mimeType": "", "buffer": b"text"})
        page.page.wait_for_selector("#problem")
        assert_fits("dark")
        assert_fits("light")
