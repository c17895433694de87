"""The page of `lnlattennet bench report`: made of records alone, whole, and readable in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from lnlattennet._cli import main
from lnlattennet.benchmarks.harness._load import Lap, Load
from lnlattennet.benchmarks.harness._record import (
    CandidateResult,
    ExperimentResult,
    Record,
    RequirementResult,
    warm_results,
)
from lnlattennet.benchmarks.report._agreement import agreement
from lnlattennet.benchmarks.report._anatomy import anatomies
from lnlattennet.benchmarks.report._numbers import duration, round_duration, text
from lnlattennet.benchmarks.report._page import render
from lnlattennet.benchmarks.report._scaling import sweeps
from lnlattennet.benchmarks.report._throughput import throughput
from lnlattennet.benchmarks.report._views import record_view
from lnlattennet.errors import DataError
from tests.commands import call

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RESULTS = Path(__file__).parents[2] / "benchmarks/results"
LAP = Lap(2.0, own_cpus=0.9, other_cpus=0.5, stolen_cpus=0.0, waiting=0.4, load_average=2.5, clock_mhz=None)


def served(case: str, gap: float, targets: int = 10) -> ExperimentResult:
    seconds = {f"target {n}": [(n + 1) / 1e3] * 99 + [1.0] for n in range(targets)}
    return ExperimentResult(case, {"mean_gap_us": gap}, warm_results(seconds))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a server on a busy machine, of images, and two that have no timings."""
    folder = tmp_path_factory.mktemp("records")
    serving = Record(benchmark="serving", quick=True)
    for case, gap in (("512, one at a time", 0.0), ("512, 8 in flight", 0.0), ("512, Poisson", 9.0)):
        serving.add(served(case, gap))
    serving.facts["requests_per_second"] = {
        case.name: {name: [100.0 / (n + 1)] * 2 for n, name in enumerate(case.candidates)}
        for case in serving.cases
    }
    bound = RequirementResult(text="p99 over p50", case="512", bound=2.5, upper=True)
    serving.requirements = [bound.with_value(9.0), bound.with_value(2.0), bound.with_value(2.4, 2.3, 2.6)]
    serving.load = Load(2, 50.0, 2.0).with_lap(LAP)
    serving.write(folder / "serving.json")
    images = Record(benchmark="images", facts={"memory_mb": {"<b>512</b>": {"ours": [39.0]}}})
    results = warm_results({"ours": [1e-3, 2e-3, 1.5e-3], "of other rounds": [3e-3]})
    results["ours"] = replace(
        results["ours"], counters={"warm": {"cycles": 2.5e6, "processor_seconds": 1e-3}}
    )
    results["broken"] = CandidateResult(failed="it is not installed")
    images.add(ExperimentResult("<b>512</b>", {}, results))
    images.write(folder / "images.json")
    runs = [{"ablation": name, "accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}} for name in ("a", "b")]
    (folder / "study.json").write_text(json.dumps({"study": "ablations", "runs": runs}))
    (folder / "evaluations").mkdir()
    old = {"benchmark": "latency", "samples_ms": {}, "requests": 200}
    (folder / "evaluations/old.json").write_text(json.dumps(old))
    return folder


def test_every_record_is_on_the_page(records: Path, tmp_path: Path) -> None:
    done = call(main, "lnlattennet", "bench", "report", records, "-o", "page.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "<h1>4 records</h1>" in page
    assert "evaluations/old.json" in page
    assert ">0.5 [0.25, 0.75]<" in page
    assert "others took up to 25% of the 2 CPUs" in page
    assert "&lt;b&gt;512&lt;/b&gt;" in page
    assert "<b>512" not in page
    assert "broken: it is not installed" in page
    assert "1 reached, 1 missed, 1 undecided" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_a_case_has_every_figure_that_its_record_has(records: Path) -> None:
    path = records / "images.json"
    (case,) = record_view(path, json.loads(path.read_text())).cases
    ours, other = case.rows
    assert (ours.median, ours.ratio, ours.memory, ours.p99, ours.rate) == ("1.50 ms", "1", "39", "", "")
    assert ours.interval == "1.00 ms to 2.00 ms"
    assert other.ratio == "2.00"
    assert case.missing == ("broken: it is not installed",)
    (counted,) = record_view(path, json.loads(path.read_text())).tables
    assert counted.columns == ("case", "candidate", "caches", "cycles", "processor seconds")
    assert counted.rows == (("<b>512</b>", "ours", "warm", "2,500,000", "0.001"),)
    path = records / "serving.json"
    first, *_ = record_view(path, json.loads(path.read_text())).cases[0].rows
    assert (first.p99, first.rate) == ("11.0 ms", "100")


def test_a_machine_is_called_quiet_only_where_that_is_known() -> None:
    record = {"benchmark": "startup", "load": {"quiet": True, "others": 0.01, "cpus": 2}}
    assert record_view(Path("a.json"), record).summary == "quiet"
    too_short = {"benchmark": "startup", "load": {"quiet": None, "others": None, "cpus": 2}}
    assert record_view(Path("a.json"), too_short).summary == ""


def test_rates_of_timed_arrivals_are_not_on_the_chart(records: Path) -> None:
    chart = throughput(json.loads((records / "serving.json").read_text()))
    assert chart is not None
    (panel,) = chart.panels
    assert panel.name == "512"
    assert [len(series.points) for series in panel.series] == [2] * 10
    assert "Poisson" not in "".join(point.text for series in panel.series for point in series.points)
    # Slower and rarer answers are higher and further left.
    fast, slow = panel.series[0].points[0], panel.series[-1].points[0]
    assert slow.y < fast.y
    assert slow.x < fast.x
    assert len(set(chart.candidates.values())) == 10
    assert throughput(json.loads((records / "images.json").read_text())) is None


def test_few_requests_have_no_99th_percentile_on_the_chart() -> None:
    record = Record(benchmark="serving")
    record.add(ExperimentResult("512, one at a time", {}, warm_results({"a": [1e-3] * 99})))
    record.facts["requests_per_second"] = {"512, one at a time": {"a": [100.0]}}
    chart = throughput(record.to_json())
    assert chart is not None
    [point] = chart.panels[0].series[0].points
    assert point.y99 is None
    assert point.text == "a, 512, one at a time: 100.0 a second, p50 1.00 ms"


@pytest.mark.parametrize(
    ("microseconds", "text", "short"),
    [
        (0.5, "0.500 µs", "0.5 µs"),
        (12.34, "12.3 µs", "12.34 µs"),
        (50_000, "50.0 ms", "50 ms"),
        (2e6, "2.00 s", "2 s"),
    ],
)
def test_a_time_has_the_unit_that_fits(microseconds: float, text: str, short: str) -> None:
    assert duration(microseconds) == text
    assert round_duration(microseconds) == short


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no record"):
        render(tmp_path, "")
    with pytest.raises(DataError, match="a report is made of a folder of records"):
        render(tmp_path / "nothing", "")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match=r"a record is a JSON object; .*list\.json holds a list"):
        render(tmp_path, "")
    (tmp_path / "list.json").write_text("no JSON")
    with pytest.raises(DataError, match=r"a record is a JSON file .*; .*list\.json is none"):
        render(tmp_path, "")


@pytest.mark.parametrize("document", [{"benchmark": "x", "machine": None}, {"compilerOptions": [1, ["a"]]}])
def test_a_file_of_another_program_is_named(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"^other\.json holds a JSON object that is no record"):
        render(tmp_path, "")


def committed(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return document


def test_the_front_is_of_latency_and_answers() -> None:
    chart = agreement(committed("2026-11-28-engines-2cores-epyc-avx512"))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == [
        "Same answer as the checkpoint, b1",
        "Accuracy, b1",
        "Same answer as the checkpoint, b8",
        "Accuracy, b8",
    ]
    first = chart.panels[0]
    assert [point.name for point in first.points if point.on_front] == [
        "the bundle's engine",
        "ONNX Runtime fp32, defaults",
    ]
    assert chart.rows[0] == ("1", "the bundle's engine", "99.81%", "96.86%", "1.28 ms", "7.85 ms")
    peers = agreement(committed("2026-11-28-peers-ferplus"))
    assert peers is not None
    assert [panel.title for panel in peers.panels] == ["Accuracy, one face, one core"]
    assert agreement(committed("2026-11-30-images-2cores-avx512")) is None


def test_a_sweep_is_drawn_with_its_exponent() -> None:
    batch, threads, *_ = sweeps(committed("2026-11-29-scaling-libfacedetection-2cores-avx2"))
    assert (batch.what, batch.unit, batch.exponent) == ("a call of the engine", "faces", "0.84 [0.84, 0.86]")
    assert [point.text for point in batch.points][:2] == ["1 faces: 3.49 ms", "2 faces: 5.24 ms"]
    assert batch.line is not None
    assert threads.line is not None
    # Larger batches take longer, which is higher up; more threads take less.
    assert batch.line[1] > batch.line[3]
    assert threads.line[1] < threads.line[3]


def test_parts_of_a_request_follow_one_another() -> None:
    (chart,) = anatomies({"anatomy_ms": {"512": {"decode": 2.0, "engine": 5.0, "rest": -1.0, "wire": 2.0}}})
    assert chart.total == "8.00 ms"
    assert [(part.name, part.time, part.share) for part in chart.parts][1:3] == [
        ("engine", "5.00 ms", "62%"),
        ("rest", "-1.00 ms", "-12%"),
    ]
    assert [part.bar for part in chart.parts] == [(0, 25), (25, 62.5), (75, 12.5), (75, 25)]


def test_records_of_every_kind_and_age_are_shown() -> None:
    views = {
        path.stem: record_view(path.relative_to(RESULTS), json.loads(path.read_text()))
        for path in RESULTS.rglob("*.json")
    }
    assert all(view.cases or view.figures or view.tables for view in views.values())
    seeds = views["2026-11-28-demo-recipe-seeds"].tables[0]
    assert (seeds.columns[0], seeds.rows[0][0]) == ("seed", "0")
    accuracy = json.loads((RESULTS / "evaluations" / "demo-fer2013.json").read_text())["accuracy"]
    value, low, high = (f"{accuracy[name]:.4g}" for name in ("value", "low", "high"))
    assert views["demo-fer2013"].figures["accuracy"] == f"{value} [{low}, {high}]"
    (study, *_) = views["ablations"].tables
    assert study.rows[0][study.columns.index("occlusion covered 0 accuracy")] == "0.7971 [0.7764, 0.8179]"
    assert [case.name for case in views["2026-11-28-engines-2cores-epyc-avx512"].cases] == ["b1", "b8"]
    required = views["2026-11-28-engines-2cores-epyc-avx512"].requirements
    assert [row.status for row in required].count("missed") == 1
    assert {row.bound for row in required} >= {">= 4", "<= 0.005"}
    (augmentation,) = views["2026-11-28-augmentation-2cores-epyc-avx512"].cases
    assert augmentation.rows[0].candidate == "OpenCV, face by face"
    assert "copy_samples_us" not in views["2026-11-28-nvidia-h100-80gb-hbm3-kernels"].figures
    assert [table.title for table in views["2026-11-29-limits-2cores-avx2"].tables][:3] == [
        "limits of the machine",
        "engines below them",
        "layers of the network, for one image",
    ]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("memory_bytes", 273118208, "260 MiB"),
        ("command", ["lnlattennet", "train", "a b"], "lnlattennet train 'a b'"),
        ("times", list(range(1000)), "1,000 values: median 499.5, 0 to 999"),
        ("widths", [16, 32], "16, 32"),
        ("quiet", False, "no"),
        ("ratio", {"ratio": 1.30271, "low": 1.0, "high": 1.5}, "1.303 [1, 1.5]"),
        ("limit", None, ""),
    ],
)
def test_a_figure_is_a_short_text(key: str, value: Any, shown: str) -> None:
    assert text(key, value) == shown


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def every_chart(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a chart of each kind."""
    folder = shutil.copytree(records, tmp_path_factory.mktemp("charts"), dirs_exist_ok=True)
    for name in ("2026-11-28-engines-*", "*-limits-*", "*-scaling-*", "evaluations/demo-synthetic"):
        path = max(RESULTS.glob(f"{name}.json"))
        shutil.copy(path, folder)
    serving = json.loads((folder / "serving.json").read_text())
    serving["anatomy_ms"] = {"512": {"decode": 2.0, "to and from the process, and its slower work": 5.0}}
    (folder / "serving.json").write_text(json.dumps(serving))
    file = folder / "page.html"
    file.write_text(render(folder, "lnlattennet bench report"), "utf-8")
    return file


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_it_is_readable_at_every_width(browser: Browser, every_chart: Path, width: int, scheme: str) -> None:
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("request", lambda request: asked.append(request.url))
    page.goto(every_chart.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert asked == [every_chart.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()
