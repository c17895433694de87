"""Folders of photographs and films: both ways through one are timed on the same files.

The benchmark waits for every process below its own, so it runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from lnlattennet.benchmarks.harness import _memory
from lnlattennet.benchmarks.harness._memory import peak_memory
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.streams import score
from lnlattennet.benchmarks.streams._commands import ALL_CORES, ONE_AT_A_TIME
from lnlattennet.benchmarks.streams._film_cases import measure_memory
from lnlattennet.benchmarks.streams._films import write_film
from lnlattennet.errors import LnlAttenNetError, UsageError


def bench(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "lnlattennet.benchmarks.streams",
        str(bundle),
        "--json",
        *arguments,
    ]
    return subprocess.run([*command, "--rounds", "1"], capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes would take longer to start than these images to judge."""
    monkeypatch.setenv("LNLATTENNET_THREADS", "1")


def test_both_ways_go_through_the_folder_and_the_film(bundle_path: Path) -> None:
    done = bench(bundle_path, "--images", "2", "--seconds", "1", "--minutes", "0")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert [case["name"] for case in record["cases"]] == ["2 photographs", "1 s of 720p"]
    for case in record["cases"]:
        for name in (ALL_CORES, ONE_AT_A_TIME):
            assert len(case["candidates"][name]["timings"]["warm"]["samples_us"]) == 1
            (processor,) = record["processor_seconds_per_image"][case["name"]][name]
            assert processor > 0.005
    (sample,) = record["cases"][1]["candidates"][ALL_CORES]["timings"]["warm"]["samples_us"]
    (required,) = record["requirements"]
    assert required["bound"] == 2
    assert required["value"] == pytest.approx(1e6 / 30 / sample, rel=1e-3)


def test_memory_of_films_is_that_of_all_processes(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So short a film may end between two looks at its memory that lie half a second apart.
    monkeypatch.setattr(_memory, "_PERIOD", 0.05)
    record = Record(benchmark="streams")
    measure_memory(record, bundle_path, tmp_path, short=1, long=2)
    peaks = record.facts["peak_memory_bytes"]
    assert [len(peaks["1 s"]), len(peaks["2 s"])] == [2, 1]
    assert min(*peaks["1 s"], *peaks["2 s"]) > 100e6
    (required,) = record.requirements
    assert required.value == pytest.approx(peaks["2 s"][0] / min(peaks["1 s"]))


def test_peak_memory_counts_what_a_child_took() -> None:
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-P', '-c', sys.argv[1]])"
    child = "import time; data = bytes(range(256)) * (1 << 19); time.sleep(1.2)"
    command = [sys.executable, "-P", "-c", parent]
    assert peak_memory([*command, child]) - peak_memory([*command, "import time; time.sleep(1.2)"]) > 100e6
    with pytest.raises(LnlAttenNetError, match="ZeroDivisionError"):
        peak_memory([sys.executable, "-P", "-c", "1 / 0"])


def test_a_film_has_every_frame_and_repeats_its_clip(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", 64, 48, 41)
    with av.open(str(tmp_path / "film.mp4")) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    np.testing.assert_allclose([time for time, _ in frames], np.arange(41 * 30) / 30, atol=1e-3)
    np.testing.assert_array_equal(frames[7][1], frames[607][1])
    assert np.abs(frames[0][1].astype(int) - frames[300][1]).max() > 30


def test_a_package_that_cannot_run_is_named(bundle_path: Path) -> None:
    done = bench(bundle_path, "--images", "1", "--seconds", "0", "--minutes", "0", "--fer", "/bin/false")
    assert done.returncode == 1
    assert "/bin/false failed" in done.stderr


@pytest.mark.parametrize(
    ("count", "images", "shard", "reason"),
    [
        (99, 100, 10, "at most the 99 files of .*, got 100"),
        (100, 100, 50, "more than the 2 shards .* of 50 each, got 100"),
    ],
)
def test_too_few_images_to_score_are_refused(
    count: int, images: int, shard: int, reason: str, tmp_path: Path
) -> None:
    for number in range(count):
        (tmp_path / f"{number}.jpg").touch()
    with pytest.raises(UsageError, match=reason):
        score.measure(tmp_path, tmp_path / "no bundle", images, shard)
