"""The page of `lnlattennet bench report`: made of records alone, whole, and readable in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

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
from lnlattennet.benchmarks.report._page import render
from lnlattennet.benchmarks.report._throughput import throughput
from lnlattennet.benchmarks.report._views import duration, record_view, round_duration
from lnlattennet.errors import UsageError
from tests.commands import call

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LAP = Lap(2.0, own_cpus=0.9, other_cpus=0.5, stolen_cpus=0.0, waiting=0.4, load_average=2.5, clock_mhz=None)


def served(case: str, gap: float, targets: int = 10) -> ExperimentResult:
    seconds = {f"target {n}": [(n + 1) / 1e3] * 99 + [1.0] for n in range(targets)}
    return ExperimentResult(case, {"mean_gap_us": gap}, warm_results(seconds))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a server on a busy machine, of images, and files that are no records of timings."""
    folder = tmp_path_factory.mktemp("records")
    serving = Record(benchmark="serving", quick=True)
    for case, gap in (("512, one at a time", 0.0), ("512, 8 in flight", 0.0), ("512, Poisson", 9.0)):
        serving.add(served(case, gap))
    serving.facts["requests_per_second"] = {
        case.name: {name: [100.0 / (n + 1)] * 2 for n, name in enumerate(case.candidates)}
        for case in serving.cases
    }
    bound = RequirementResult(text="p99 over p50", case="512", bound=2.5, upper=True)
    serving.requirements = [bound.with_value(9.0), bound.with_value(2.0)]
    serving.load = Load(2, 50.0, 2.0).with_lap(LAP)
    serving.write(folder / "serving.json")
    images = Record(benchmark="images", facts={"memory_mb": {"<b>512</b>": {"ours": [39.0]}}})
    results = warm_results({"ours": [1e-3, 2e-3, 1.5e-3], "of other rounds": [3e-3]})
    results["broken"] = CandidateResult(failed="it is not installed")
    images.add(ExperimentResult("<b>512</b>", {}, results))
    images.write(folder / "images.json")
    (folder / "study.json").write_text('{"study": "ablations"}')
    (folder / "old.json").write_text('{"benchmark": "latency", "samples_ms": {}}')
    return folder


def test_every_record_is_on_the_page(records: Path, tmp_path: Path) -> None:
    done = call(main, "lnlattennet", "bench", "report", records, "-o", "page.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "<h1>2 records</h1>" in page
    assert "no cases with timings: old.json, study.json" in page
    assert "others took up to 25% of the 2 CPUs" in page
    assert "&lt;b&gt;512&lt;/b&gt;" in page
    assert "<b>512" not in page
    assert "broken: it is not installed" in page
    assert "1 reached, 1 missed" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_a_case_has_every_figure_that_its_record_has(records: Path) -> None:
    path = records / "images.json"
    (case,) = record_view(path, json.loads(path.read_text())).cases
    ours, other = case.rows
    assert (ours.median, ours.ratio, ours.memory, ours.p99, ours.rate) == ("1.50 ms", "1", "39", "", "")
    assert ours.interval == "1.00 ms to 2.00 ms"
    assert other.ratio == "2.00"
    assert case.missing == ("broken: it is not installed",)
    path = records / "serving.json"
    first, *_ = record_view(path, json.loads(path.read_text())).cases[0].rows
    assert (first.p99, first.rate) == ("11.0 ms", "100")


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
    with pytest.raises(UsageError, match="holds no record of timings"):
        render(tmp_path, "")
    with pytest.raises(UsageError, match="a report is made of a folder of records"):
        render(tmp_path / "nothing", "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_it_is_readable_at_every_width(
    browser: Browser, records: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "page.html"
    file.write_text(render(records, "lnlattennet bench report"), "utf-8")
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert asked == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()
