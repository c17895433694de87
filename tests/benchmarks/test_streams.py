"""Folders of photographs: both ways through one are timed on the same files.

The benchmark waits for every process below its own, so it runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lnlattennet.benchmarks.streams.__main__ import ALL_CORES, ONE_AT_A_TIME


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


def test_both_ways_go_through_the_folder(bundle_path: Path) -> None:
    done = bench(bundle_path, "--images", "2")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    (case,) = record["cases"]
    assert case["name"] == "2 photographs"
    for name in (ALL_CORES, ONE_AT_A_TIME):
        assert len(case["candidates"][name]["timings"]["warm"]["samples_us"]) == 1
        (processor,) = record["processor_seconds_per_image"][name]
        assert processor > 0.05


def test_a_package_that_cannot_run_is_named(bundle_path: Path) -> None:
    done = bench(bundle_path, "--images", "1", "--fer", "/bin/false")
    assert done.returncode == 1
    assert "/bin/false failed" in done.stderr
