"""The page in a real Chromium: nothing loaded, nothing wrong, readable at every width, by everybody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from lnlattennet.streams.timeline._page import render
from tests.streams.timeline.tables import empty, film, seen, studied

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
]
OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true })"
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two persons, images without a time, and names as long as one likes."""
    long = "a/very/long/path/without/any/blank/" * 4
    rows = [*film(40, 2, rate=15, source=f"{long}clip.mp4")]
    rows += [seen(None, "sadness", None, source=f"{long}{n}.jpg") for n in range(9)] + [empty(None)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    html = render(studied(rows), "rows.parquet", f"lnlattennet timeline {long}rows.parquet -o page.html")
    path.write_text(html, "utf-8")
    return path


def opened(browser: Browser, path: Path, width: int, scheme: Scheme, wrong: list[str]) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda request: wrong.append(f"request: {request.url}"))
    page.goto(path.as_uri())
    page.evaluate(OPEN_ALL)
    return page


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_nothing_and_never_scrolls_sideways(
    browser: Browser, page_file: Path, width: int, scheme: Scheme
) -> None:
    wrong: list[str] = []
    page = opened(browser, page_file, width, scheme, wrong)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    asked = [
        text for text in wrong if not text.startswith(("request: data:", f"request: {page_file.as_uri()}"))
    ]
    assert asked == []
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    page.close()


def test_axe_finds_nothing(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(color_scheme="light", bypass_csp=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    # One person is like another, and contrasts take long.
    page.evaluate("document.querySelectorAll('.person').forEach((person, at) => { person.open = !at })")
    # All rules once; what the other scheme changes is the contrast.
    contrast = {"runOnly": ["color-contrast"]}
    for scheme, options, fewest in (("light", None, 20), ("dark", contrast, 1)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(page, options=options).response
        assert len(found["passes"]) >= fewest
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    context.close()


def test_the_charts_are_read_by_keyboard_and_pointer(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    lanes = page.locator(".lanes").first
    slider, output = lanes.locator("input[type=range]"), lanes.locator("output")
    slider.focus()
    page.keyboard.press("End")
    last = output.inner_text()
    page.keyboard.press("Home")
    first = output.inner_text()
    assert first.startswith("0:00")
    assert "uncertainty" in first
    assert first != last
    assert slider.get_attribute("aria-valuetext") == first
    plot = lanes.locator(".plot.stack").first
    plot.scroll_into_view_if_needed()
    plot.hover(position={"x": 1, "y": 5})
    assert output.inner_text() == first
    # 12 s to 16 s of 40: the first person is away.
    box = plot.bounding_box()
    assert box
    plot.hover(position={"x": box["width"] * 0.34, "y": 5})
    assert output.inner_text().endswith("no face")
    page.close()


def test_a_link_of_the_overview_opens_the_person(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    target = page.locator("#person-3")
    assert not target.is_visible()
    page.locator('a[href="#person-3"]').click()
    target.wait_for(state="visible")
    page.close()


def test_it_is_whole_without_scripts(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".lanes .plot svg path").count() > 20
    assert not page.locator("input[type=range]").first.is_visible()
    context.close()
