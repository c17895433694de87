"""The benchmark of reading images: every candidate reads the same pixels, and the record becomes a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.benchmarks.figures import render
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.benchmarks.images import __main__ as benchmark
from lnlattennet.benchmarks.images._memory import peak_memory
from lnlattennet.benchmarks.images._photographs import Photograph
from lnlattennet.benchmarks.images._readers import SUBJECT, readers
from lnlattennet.errors import LnlAttenNetError


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_every_candidate_reads_the_same_pixels(file_format: str) -> None:
    data = Photograph(160, 120, file_format, {}).encode()
    first, *others = (read(data) for read in readers().values())
    assert first.shape == (120, 160, 3)
    for pixels in others:
        assert np.abs(pixels.astype(int) - first).mean() < 1


def test_the_subject_reads_a_large_photograph_at_the_detail_that_its_finder_needs() -> None:
    data = Photograph(3000, 2000, "JPEG", {}).encode()
    read = readers()
    assert read["lnlattennet, read_image"](data).shape == (2000, 3000, 3)
    assert read[SUBJECT](data).shape == (1000, 1500, 3)


def test_a_file_that_a_candidate_cannot_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"no image")
    with pytest.raises(LnlAttenNetError, match=r"lnlattennet cannot read photo\.jpg: \S*ImageError: "):
        peak_memory(SUBJECT, tmp_path / "photo.jpg")


def test_time_and_memory_of_every_read_are_kept(tmp_path: Path) -> None:
    photographs = {"50-megapixel": Photograph(6000, 3000, "JPEG", {})}
    benchmark.measure(photographs, 2, reads=1, starts=2).write(tmp_path / "images.json")
    record = json.loads((tmp_path / "images.json").read_text())
    assert [
        len(result["timings"]["warm"]["samples_us"]) for result in record["cases"][0]["candidates"].values()
    ] == [2] * 4
    assert {
        tuple(result["timings"]["warm"]["starts"]) for result in record["cases"][0]["candidates"].values()
    } == {(1, 1)}
    peaks = {name: peak for name, [peak] in record["memory_mb"]["50-megapixel"].items()}
    # 54 MB of pixels, of which the product decodes every fourth column of every fourth row.
    assert 54 / 16 < peaks["lnlattennet"] < 54 < peaks["OpenCV, whole"] < 400
    assert record["requirements"][0]["value"] == pytest.approx(peaks["lnlattennet"] / peaks["OpenCV, whole"])
    table = render(tmp_path / "images.json")
    assert f"| {peaks['Pillow, whole']:.0f} |" in table


def test_an_earlier_version_takes_turns(tmp_path: Path) -> None:
    photographs = {"small": Photograph(64, 48, "PNG", {})}
    record = benchmark.measure(photographs, 2, reads=1, earlier=Path(sys.executable), starts=1)
    timing = record.cases[0].timing(EARLIER)
    assert timing is not None
    assert min(timing.samples_us) > 0
    record.write(tmp_path / "images.json")
    assert "earlier version" in render(tmp_path / "images.json")
