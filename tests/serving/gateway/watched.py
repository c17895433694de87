"""The page in a browser, with what it asks for and what its console says."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 60
CARD = "#faces > li"


@dataclass
class Watched:
    """A page, with what it asked for and what its console says is wrong."""

    page: Page
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def wait(self, selector: str, pattern: str) -> None:
        """Wait until the text matches."""
        self.page.wait_for_selector(f"{selector}:text-matches({json.dumps(pattern)})")


Opened = Callable[..., contextlib.AbstractContextManager[Watched]]


@contextlib.contextmanager
def open_page(
    browser: Browser, port: int, *, camera: bool = True, faults: str = "^$", **options: Any
) -> Iterator[Watched]:
    """Open the page; ``faults`` matches what its console may say."""
    home = f"http://localhost:{port}"
    with browser.new_context(**options) as context:
        context.set_default_timeout(1000 * SECONDS)
        if camera:
            context.grant_permissions(["camera"], origin=home)
        watched = Watched(context.new_page())
        page = watched.page
        page.on("request", lambda request: watched.requests.append(request.url))
        page.on("pageerror", lambda error: watched.problems.append(str(error)))
        page.on(
            "console",
            lambda message: watched.problems.append(message.text) if message.type == "error" else None,
        )
        # From now on dialogs are caught; what turns that on later may come after the key that opens one.
        page.on("filechooser", lambda _: None)
        page.goto(f"{home}/page")
        yield watched
        assert [text for text in watched.problems if not re.search(faults, text)] == []
        urls = map(urlsplit, watched.requests)
        assert {url.netloc for url in urls if url.scheme not in ("blob", "data")} == {f"localhost:{port}"}
