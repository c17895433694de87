"""Tables of the documentation: the committed pages say what the records say."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from lnlattennet.benchmarks.figures import ROOFLINE, fill_page, newest, render, run
from lnlattennet.benchmarks.harness._pages import pages
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._samples import read_record, read_samples
from lnlattennet.benchmarks.limits._picture import picture
from lnlattennet.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("at_root")
def test_committed_pages_are_what_the_records_say() -> None:
    """If not: `make figures`."""
    texts = {page: page.read_text() for page in pages([Path("README.md"), Path("docs")])}
    assert {page: fill_page(text) for page, text in texts.items()} == texts
    markers = re.findall(r"<!-- figures: (\S+)(?: only .+?)? -->", "".join(texts.values()))
    shown = {json.loads(newest(marker).read_text())["benchmark"] for marker in markers}
    assert shown == {
        "latency", "engines", "bundle", "kernels", "training", "augmentation", "faithfulness", "faces",
        "images", "serving", "limits", "scaling", "programs",
    }  # fmt: skip
    assert picture(read_record(newest(ROOFLINE))) == Path("docs/images/roofline.svg").read_text()


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize(
    ("pattern", "cells"),
    [
        ("*-demo-latency-*", "| `expression`, grpc | 16.4 | 18.5 | 20.4 | 20.7 |"),
        (
            "2026-11-24-engines-*",
            "| torch eager | 5.57 | 5.51 [5.36, 5.62] | 42.08 | 5.37 [5.21, 5.88] | 97.00% |",
        ),
        (
            "2026-11-23-kernels-2cores-epyc",
            "| warm | 191.8 | 34 | 10.48 [10.19, 10.82] | 5.19 [5.05, 5.30] |",
        ),
        ("*-h100-80gb-hbm3-kernels", "| fused, portable | 48.7 | 55.3 | 6.3 | 6.6 |"),
        ("*-training-*", "| plain loop | 14.51 | 1.30 [1.28, 1.33] |"),
        ("*-augmentation-*", "| kornia, batches of 64 | 1.91 | 3.18 [2.79, 3.55] |"),
        ("*-faces-2cores", "| turned 20 degrees (60) | 73.3% | 100.0% | 100.0% | 100.0% | 100.0% | 100.0% |"),
        ("*-faithfulness-ferplus", "| Grad-CAM | 33.8 [31.9, 35.5] | 4.5 [3.5, 5.6] | 3.03 [2.79, 3.30] |"),
        ("*-faithfulness-demo", "| Grad-CAM | 45.0 [36.4, 52.9] | 8.6 [3.6, 13.6] | 3.20 [2.45, 4.24] |"),
        (
            "2026-11-29-serving-haar-*",
            "| fused, gRPC | 15.7 | 16.4 | 36.1 | 72.2 | 111.1 / 215 |",
        ),
    ],
)
def test_a_table_has_the_figures_that_were_published(pattern: str, cells: str) -> None:
    path = newest(pattern)
    text = render(path)
    assert cells in text
    assert text.startswith(f"*{path.stem[:10]}, ")
    assert path.name in text


def test_old_and_new_records_are_read_alike(tmp_path: Path) -> None:
    record = Record(benchmark="augmentation")
    record.add(ExperimentResult("2 faces", {"shape": [2, 3, 8, 8]}, warm_results({"a": [0.5, 0.25]})))
    assert read_samples(record.to_json()) == {"2 faces": {"a": {"warm": [500000.0, 250000.0]}}}
    assert read_samples({"samples_s": {"a": [0.5]}}) == {"": {"a": {"warm": [500000.0]}}}
    assert read_samples({"samples_ms": {"8": {"a": [0.5]}}}) == {"b8": {"a": {"warm": [500.0]}}}
    old = {"name": "tail/x", "rivals": {"a": {"relative_error": 0.1, "cold": {"samples_us": [3.0]}}}}
    assert read_samples({"cases": [old]}) == {"attention+nonlocal/x": {"a": {"cold": [3.0]}}}
    record.write(tmp_path / "2030-01-01-augmentation.json")
    assert "| a | 187.50 |  |" in render(tmp_path / "2030-01-01-augmentation.json")


def test_a_page_is_filled_and_the_rest_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    for day, seconds in (("01", 1.0), ("02", 2.0)):
        record = Record(benchmark="augmentation")
        record.machine = {"cpu": "a CPU", "threads": 1, "torch": "2"}
        faces = ExperimentResult("1 face", {"shape": [1, 3, 8, 8]}, warm_results({"a": [seconds]}))
        record.add(dataclasses.replace(faces))
        record.write(results / f"2030-01-{day}-augmentation.json")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: *-augmentation -->\nold\n<!-- /figures -->\nafter\n")
    for _ in range(2):
        assert run([str(tmp_path)]) == 0
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("<!-- /figures -->\nafter\n")
        assert "| a | 2000.00 |  |" in text
        assert "2030-01-02, a CPU, 1 thread" in text
        assert "old" not in text


def test_only_the_cases_of_a_marker_are_shown(tmp_path: Path) -> None:
    record = Record(benchmark="images", facts={"memory_mb": {"a/1": {}, "b/1": {}}})
    for name in ("a/1", "b/1"):
        record.add(ExperimentResult(name, {}, warm_results({"x": [1.0]})))
    record.write(tmp_path / "images.json")
    text = fill_page("<!-- figures: images only b/* -->\n<!-- /figures -->", tmp_path)
    assert "| b/1 | x |" in text
    assert "a/1" not in text
    with pytest.raises(UsageError, match=r"no case whose name matches 'c/\*'"):
        fill_page("<!-- figures: images only c/* -->\n<!-- /figures -->", tmp_path)


@pytest.mark.parametrize(("name", "content"), [("x-other", '{"benchmark": "gpu-suite"}'), ("y", "{}")])
def test_a_marker_without_a_table_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "x-other.json").write_text(content)
    with pytest.raises(UsageError, match=r"matches no record|no benchmark that has a table"):
        fill_page(f"<!-- figures: {name} -->\n<!-- /figures -->", tmp_path)
