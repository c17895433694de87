"""`report.html`: whole, self-contained, and true to the document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._manifest import Manifest, SkippedEngine, VerificationRecord
from lnlattennet.export.report._document import report_document
from lnlattennet.export.report._html import render_html, write_reports

Samples = dict[str, dict[int, list[float]]]
VOID = {"meta", "br", "circle", "line", "path", "rect"}
HOSTILE = """</title><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;"""


class Page(HTMLParser):
    """Every element, attribute and text of a page; refuses a tag that is closed wrongly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.fixture
def minimal(make_manifest: Callable[..., Manifest]) -> Manifest:
    """One engine that could not be run here, and nothing known beyond what the manifest must say."""
    engine = next(e for e in make_manifest().engines if e.name == "tensorrt-fp16")
    return make_manifest(
        engines=[engine.model_copy(update={"layers": {}})],
        skipped=[],
        provenance={},
        selected=engine.name,
        files={},
    )


def test_both_files_are_written_and_hold_the_same(document: dict[str, Any], tmp_path: Path) -> None:
    write_reports(tmp_path, document)
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == document
    assert (tmp_path / "report.html").read_text("utf-8") == render_html(document)


def test_the_page_loads_nothing(document: dict[str, Any]) -> None:
    html = render_html(document)
    assert not re.search(r"https?:|url\(|@import", html)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "use",
    }
    identifiers = {attributes.get("id") for _, attributes in page.tags}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "data", "action", "xlink:href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        if (target := attributes.get("href")) is not None:
            assert target.startswith("#")
            assert target[1:] in identifiers


def test_every_candidate_is_there_with_its_outcome(document: dict[str, Any]) -> None:
    text = Page(render_html(document)).text
    rows = text[text.index("Candidates") : text.index("Latency against agreement")]
    for engine in document["engines"]:
        outcome = "★ serves" if engine["name"] == document["selected"] else engine["status"]
        assert re.search(rf"{engine['name']} *[^ ]? ?{outcome}", rows)
        assert engine["file"] in rows
    for entry in document["skipped"]:
        assert f"{entry['backend']}-{entry['precision']}".rstrip("-") in rows
        assert (entry["reason"][0].upper() + entry["reason"][1:]) in text
    assert "int8 24 of 26 planned" in rows
    assert "1.2 MB" in rows


def test_the_values_of_all_checks_are_the_documents(document: dict[str, Any]) -> None:
    page = Page(render_html(document))
    shown = [float(attributes["value"] or "nan") for tag, attributes in page.tags if tag == "data"]
    entries = [*document["engines"], *document["skipped"]]
    assert shown == [check["value"] for entry in entries for check in entry["checks"]]


def test_a_failing_check_is_named_with_value_limit_and_place(document: dict[str, Any]) -> None:
    page = Page(render_html(document))
    where = "(batch 8, face 12, region 10 (row 3, column 3))"
    assert f"Largest difference of region_weights: 0.9, allowed ≤ 0.5 {where}" in page.text
    assert "Same top class of logits: 96.48%, allowed ≥ 99%" in page.text
    failing = sum(not check["passed"] for check in document["skipped"][0]["checks"])
    assert failing >= 2
    # By sign and shape, not by color alone.
    assert page.text.count("✗ openvino-int8") == failing + 1
    assert sum(attributes.get("class") == "diamond" for _, attributes in page.tags) == failing


def test_names_of_users_are_text(document: dict[str, Any]) -> None:
    clean = [tag for tag, _ in Page(render_html(document)).tags]
    document["class_names"][0] = HOSTILE
    document["selected_because"] = HOSTILE
    document["command"].append(HOSTILE)
    document["provenance"][HOSTILE] = HOSTILE
    document["skipped"][1]["reason"] = HOSTILE
    document["engines"][0]["file"] = HOSTILE
    document["engines"][-1]["reason"] = HOSTILE
    document["engines"][0]["checks"][0]["output"] = HOSTILE
    document["verification"]["labeled"]["name"] = HOSTILE
    document["verification"]["faces_source"] = HOSTILE
    page = Page(render_html(document))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) >= 9
    # One field more in provenance, and a panel for the output: nothing but the template makes elements.
    assert set(clean) == {tag for tag, _ in page.tags}


def test_rendered_calibration_is_stated(document: dict[str, Any]) -> None:
    text = Page(render_html(document)).text
    assert "Calibrated on rendered faces." in text
    assert "percentile on 256 rendered faces, not photographs" in text
    assert "512 rendered faces" in text
    assert "3 min 34 s" in text
    assert "peak memory of the exporting process1,843 MB" in text
    document["verification"]["calibration"]["source"] = "my/faces"
    document["verification"]["faces_source"] = "held/out"
    text = Page(render_html(document)).text
    assert "rendered faces, not photographs" not in text
    assert "Calibrated on rendered faces" not in text
    assert "percentile on 256 faces from my/faces" in text
    assert "512 faces from held/out" in text


def test_accuracy_has_its_interval(document: dict[str, Any]) -> None:
    assert "92.92% 91.83% to 93.90%" in Page(render_html(document)).text


@pytest.mark.parametrize(
    "verification",
    [
        {},
        {"labeled": None, "calibration": None, "planned_layers": {}, "latency_budget_ms": None},
        {"strategy": "latency-budget", "latency_budget_ms": 5.0},
    ],
)
def test_unknown_values_are_left_out(minimal: Manifest, verification: dict[str, Any]) -> None:
    record = VerificationRecord(**verification)
    text = Page(render_html(report_document(minimal.model_copy(update={"verification": record}), {}))).text
    assert "tensorrt-fp16 serves" in text
    assert "Nothing: every candidate is in the bundle." in text
    assert ("latency-budget, budget 5 ms" in text) == bool(verification.get("strategy"))
    assert "None" not in text


def test_a_broken_engine_of_not_a_number_is_shown(
    make_manifest: Callable[..., Manifest], samples: Samples
) -> None:
    manifest = make_manifest()
    broken = manifest.skipped[0].checks[0].model_copy(update={"value": float("nan"), "passed": False})
    skipped = [SkippedEngine(backend="openvino", precision="int8", reason="it is broken", checks=[broken])]
    text = Page(render_html(report_document(manifest.model_copy(update={"skipped": skipped}), samples))).text
    assert "Largest difference of logits: not a number, allowed ≤ 0.5" in text


def test_tables_and_charts_can_be_read_aloud(document: dict[str, Any]) -> None:
    page = Page(render_html(document))
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    charts = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("role") == "img"]
    assert len(charts) > 50
    assert all(attributes.get("aria-label") for attributes in charts)
