"""The page in a real browser; CI has none, and skips this."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.export.report._html import render_html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTH = 360
# A window of a headless Chromium is at least 500 pixels wide, a frame in it as narrow as one likes.
FRAME = f"""<!doctype html><title>waiting</title>
<script>addEventListener("message", event => {{ document.title = event.data }})</script>
<iframe src="page.html" style="width:{WIDTH}px;height:800px;border:0"></iframe>"""
REPORT = """<script>addEventListener("load", () => {
const page = document.documentElement;
document.querySelectorAll("details").forEach(details => { details.open = true });
parent.postMessage(`widths ${page.clientWidth} ${page.scrollWidth}`, "*") })</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_a_phone_never_scrolls_sideways(document: dict[str, Any], tmp_path: Path) -> None:
    document["command"] += ["--data", "a/very/long/path/without/any/blank/" * 4]
    (tmp_path / "page.html").write_text(render_html(document).replace("</body>", REPORT), encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME, encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-quic"),
            *(
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ),
            f"--user-data-dir={tmp_path / 'profile'}",
            *("--virtual-time-budget=5000", "--dump-dom"),
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>widths (\d+) (\d+)</title>", done.stdout)
    assert title, done.stdout[:500]
    assert [int(width) for width in title.groups()] == [WIDTH, WIDTH]
