"""The latency benchmark: fair order, every sample kept, right percentiles, a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lnlattennet.benchmarks.serving.latency import percentiles
from lnlattennet.serving.triton._process import TritonProcess


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=300))
def test_percentiles_lie_where_the_sorted_samples_say(samples: list[float]) -> None:
    found = percentiles(samples)
    ordered = sorted(samples)
    assert (found["p99_ms"] is None) == (len(samples) < 100)
    for name, share in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99)):
        position = share * (len(ordered) - 1)
        low, high = ordered[int(position)], ordered[min(int(position) + 1, len(ordered) - 1)]
        if (value := found[name]) is not None:
            assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    assert found["max_ms"] == ordered[-1]


def run_latency(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lnlattennet.benchmarks.serving.latency", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_real_server_is_measured_over_both_protocols(server: TritonProcess, tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(image)
    at, record = server.endpoints, tmp_path / "record.json"
    done = run_latency(image, "-u", at.grpc, "-u", at.http, "--requests", 5, "--json", "-o", record)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads(record.read_text())
    [case] = document["cases"]
    assert len(case["candidates"]) == 4
    for name, target in case["candidates"].items():
        samples = target["timings"]["warm"]["samples_us"]
        assert len(samples) == 5
        assert document["summary"][name]["p50_ms"] == pytest.approx(np.median(samples) / 1e3, abs=1e-5)


def test_a_missing_server_or_a_repeated_target_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    Image.new("RGB", (32, 32)).save(image)
    done = run_latency(image, "-u", "grpc://127.0.0.1:9")
    assert done.returncode == 1
    assert "lnlattennet serve" in done.stderr
    done = run_latency(image, "--model", "expression", "--model", "expression")
    assert done.returncode == 2
    assert "must not repeat" in done.stderr
