"""`lnlattennet timeline`: the page and the CSV file, and one clear error for wrong calls."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.errors import DataError, UsageError
from lnlattennet.streams._rows import Columns
from lnlattennet.streams.timeline._page import render
from lnlattennet.streams.timeline._study import study
from lnlattennet.streams.timeline._write import write_timeline
from tests.streams.films import images, write_film
from tests.streams.tables.test_reading import write_csv, write_jsonl, write_parquet
from tests.streams.timeline.tables import NAMES, empty, film, seen, studied

HOSTILE = """</script><img src=x onerror="alert(1)">'&amp;{{ 7 * 7 }}.mp4"""


def read_figures(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(("suffix", "write"), [(".jsonl", write_jsonl), (".parquet", write_parquet)])
def test_every_format_gives_the_same_figures(suffix: str, write: Callable[..., None], tmp_path: Path) -> None:
    rows = list(film(3, 2))
    results = []
    for kind, writer in ((".csv", write_csv), (suffix, write)):
        table = tmp_path / f"rows{kind}"
        writer(table, rows)
        write_timeline(table, tmp_path / "page.html", tmp_path / "figures")
        page = (tmp_path / "page.html").read_text("utf-8").replace(f"rows{kind}", "rows")
        results.append((page, (tmp_path / "figures").read_text("utf-8")))
    assert results[0] == results[1]


def test_the_csv_file_holds_what_was_worked_out_by_hand(tmp_path: Path) -> None:
    """Frames of 1, 2, 1 and 1 s: h n h s."""
    table = tmp_path / "rows.csv"
    labels = ["happiness", "neutral", "happiness", "sadness"]
    write_csv(table, [seen(time, label) for time, label in zip([0, 1, 3, 4], labels, strict=True)])
    write_timeline(table, tmp_path / "page.html", tmp_path / "shares.csv")
    whole, *columns = read_figures(tmp_path / "shares.csv")
    expected = {"part": "all", "person": "Person 1", "start": "0", "end": "5", "seen": "5", "labels": "raw"}
    expected |= {"share_happiness": "0.4", "share_neutral": "0.4", "share_sadness": "0.2", "frames": "4"}
    expected |= {"dwells_happiness": "2", "dwell_median_happiness": "1", "dwell_longest_neutral": "2"}
    expected |= {"changes_happiness_to_neutral": "1", "changes_happiness_to_sadness": "1", "gaps": "0"}
    expected |= {"changes_sadness_to_neutral": "0", "smoothed_share_sadness": "", "region_weight_3": "0.4"}
    assert {name: whole[name] for name in expected} == expected
    assert {column["part"] for column in columns} == {"column"}
    assert sum(float(column["seen"]) for column in columns) == pytest.approx(5)
    assert sum(float(column["seen"]) * float(column["share_sadness"]) for column in columns) == pytest.approx(
        1
    )


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    columns = Columns((HOSTILE, "neutral", "{{ 7 * 7 }}"), 4)
    rows = [seen(t / 10, "neutral", source=HOSTILE) for t in range(20)]
    html = render(study(columns, lambda: rows), HOSTILE, f"lnlattennet timeline {HOSTILE}")
    assert not re.search(r"https?:|url\(|@import|<img src=x|49", html.replace("data:,", ""))
    assert html.count("<script") == html.count("</script>") == 1
    assert not re.search(r"<(link(?! rel=\"icon\" href=\"data:,\")|iframe|object|embed)", html)


def test_the_figures_are_on_the_page() -> None:
    labels = ["happiness", "happiness", "neutral", "sadness"]
    rows = [seen(float(t), label, smoothed=label) for t, label in enumerate(labels)] + [
        empty(4.0),
        empty(5.0),
    ]
    html = re.sub(r"\s+", " ", render(studied(rows), "rows.csv", "lnlattennet timeline rows.csv"))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert "in clip.mp4, 4.00 s" in text
    assert "happiness 50% 2.00 s 50%" in text  # share, its time, raw share
    assert "No face in 2.00 s." in text
    assert "happiness: median 2.00 s, middle half 2.00 s to 2.00 s" in html
    assert 'title="happiness to neutral: 1 (100%)"' in html
    assert "This page holds no image of anybody" in text


def test_an_hour_of_three_persons_stays_small() -> None:
    """At one frame a second; the number of columns does not depend on the rate."""
    found = studied(film(3600, 3, rate=1))
    html = render(found, "hour.csv", "lnlattennet timeline hour.csv")
    assert "900 columns, each the mean over 4 s" in html
    assert len(html) < 600_000


def test_a_hundred_persons_are_all_on_the_page() -> None:
    rows = [
        seen(t / 2, NAMES[(t + track) % 3], track, face=face)
        for t in range(400)
        for face, track in enumerate(range(t // 4, t // 4 + 3))
    ]
    html = render(studied(rows), "crowd.csv", "lnlattennet timeline crowd.csv")
    links = re.findall(r'<a href="#(person-\d+)">Person (\d+)</a>', html)
    assert len(links) >= 100
    assert all(f'<div id="{anchor}"' in html for anchor, _ in links)
    assert len(html) < 3_000_000


def test_nobody_is_an_answer_too(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    write_csv(table, [empty(t / 10) for t in range(50)])
    write_timeline(table, tmp_path / "page.html", tmp_path / "shares.csv")
    assert "No face was found in 5.00 s." in (tmp_path / "page.html").read_text("utf-8")
    assert read_figures(tmp_path / "shares.csv") == []


def faces_on(page: Path) -> list[Image.Image]:
    coded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page.read_text("utf-8"))
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in coded]


def test_faces_are_shown_only_if_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a video and of an image beside the table, cut where the row says, and not of a file that is gone."""
    frames = list(images(20))
    write_film(tmp_path / "clip.mp4", frames)
    Image.fromarray(frames[0]).save(tmp_path / "image.png")
    rows = [seen(t / 30, "happiness", frame=t) for t in range(20)]
    rows += [seen(None, "sadness", None, source=source) for source in ("image.png", "gone.png")]
    table, page = tmp_path / "rows.csv", tmp_path / "page.html"
    write_csv(table, rows)
    write_timeline(table, page)
    assert faces_on(page) == []
    write_timeline(table, page, show_faces=True)
    film_face, image_face = faces_on(page)
    for face in (film_face, image_face):
        assert face.size == (40, 40)
        assert np.abs(np.asarray(face, int) - frames[0][:40, :40]).mean() < 12
    assert "not blurred" in page.read_text("utf-8")
    write_csv(table, rows[-1:])
    write_timeline(table, page, show_faces=True)
    assert "gone.png is not there" in caplog.text


def test_a_path_that_would_overwrite_another_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    write_csv(table, list(film(1, 1)))
    before = table.read_bytes()
    with pytest.raises(UsageError, match=r"--output .* is RESULTS as well"):
        write_timeline(table, table)
    with pytest.raises(UsageError, match=r"--csv .* is --output as well"):
        write_timeline(table, tmp_path / "a", tmp_path / "a")
    with pytest.raises(UsageError, match="is a folder"):
        write_timeline(table, tmp_path)
    assert table.read_bytes() == before


def test_a_damaged_table_leaves_an_earlier_page_alone(tmp_path: Path) -> None:
    table, page = tmp_path / "rows.csv", tmp_path / "page.html"
    page.write_text("earlier", "utf-8")
    write_csv(table, [seen(1.0, "neutral"), seen(1.0, "neutral")])
    with pytest.raises(DataError, match=r"rows\.csv: a face of a frame has one row"):
        write_timeline(table, page)
    assert page.read_text("utf-8") == "earlier"
