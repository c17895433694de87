"""The scaling benchmark: exponents of known growth, and a small run of every sweep."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.benchmarks.figures import render
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.scaling import __main__ as benchmark
from lnlattennet.benchmarks.scaling import _sweeps
from lnlattennet.benchmarks.scaling._sweeps import Sweep
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import UnavailableError, UsageError
from tests.bundle.manifests import engine, manifest, write_bundle


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_growth(power: float) -> None:
    """Each round has a speed of its own, which changes no slope, and a size that is off by some percent."""
    generator = np.random.default_rng(0)
    speeds = generator.uniform(1, 3, 40)
    noise = {size: generator.normal(1, 0.02, 40) for size in (1, 2, 4, 8, 16)}
    seconds = {size: (speeds * float(size) ** power * noise[size]).tolist() for size in noise}
    value, low, high = benchmark.exponent(seconds)
    assert low <= value <= high
    assert value == pytest.approx(power, abs=0.02)
    assert high - low < 0.03


def test_every_sweep_is_measured(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_sweeps, "_BATCHES", (1, 2, 64))
    monkeypatch.setattr(_sweeps, "_SIDES", (128, 256))
    monkeypatch.setattr(_sweeps, "_ROWS", (1, 2))
    monkeypatch.setattr(_sweeps, "_IN_FLIGHT", (1, 4))
    monkeypatch.setattr(_sweeps, "usable_cpus", lambda: 2)
    path = tmp_path / "2030-01-01-scaling.json"
    assert benchmark.run([str(bundle_path), "--rounds", "2", "-o", str(path)]) == 0
    record = json.loads(path.read_text())
    sizes: dict[str, list[int]] = {}
    for case in record["cases"]:
        sizes.setdefault(case["config"]["sweep"], []).append(case["config"]["size"])
        assert len(case["candidates"]["the bundle"]["timings"]["warm"]["samples_us"]) == 2
    # Beyond the engine's largest batch there is none; faces are counted as the finder finds them.
    assert sizes["batch"] == [1, 2]
    assert sizes["threads"] == [1, 2]
    assert sizes["pixels"] == [128**2, 256**2]
    assert 1 <= min(sizes["faces"]) < max(sizes["faces"]) <= 4
    assert sizes["requests"] == [1, 4]
    assert record["left_out"] == {}
    for sweep in record["sweeps"].values():
        value, low, high = sweep["exponent"]
        assert low <= value <= high
    assert "pixels" in capsys.readouterr().out
    assert "| pixels | bytes of a JPEG file to its answer, pixels | 16,384: " in render(path)


def test_figures_are_noted_while_the_processes_of_a_sweep_are_alive(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that have ended would count as other programs, and the machine as busy."""
    events: list[str] = []

    @contextmanager
    def sweep(bundle: object) -> Iterator[Sweep]:
        yield Sweep("own", "a call, things", {1: lambda: 0.1, 2: lambda: 0.2})
        events.append("ended")

    monkeypatch.setattr(benchmark, "SWEEPS", {"own": sweep})
    monkeypatch.setattr(Record, "add", lambda record, result: events.append(result.name))
    benchmark.measure(bundle_path, ["own"], rounds=2)
    assert events == ["own 1", "own 2", "ended"]


def test_a_sweep_that_cannot_run_is_named_with_the_reason(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_sweeps, "_BATCHES", (1, 2))
    monkeypatch.setitem(sys.modules, "pytriton", None)
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "2030-01-01-scaling.json"
    arguments = [str(bundle_path), "--rounds", "2", "--case", "batch", "--case", "requests", "-o", str(path)]
    assert benchmark.run(arguments) == 0
    record = json.loads(path.read_text())
    assert list(record["sweeps"]) == ["batch"]
    assert list(record["left_out"]) == ["requests"]
    assert f"requests is left out: {record['left_out']['requests']}" in capsys.readouterr().err
    assert "\n- requests is left out: " in render(path)


@pytest.mark.parametrize("name", ["torch-fp32", "aoti-fp32"])
def test_threads_of_a_process_that_has_one_number_are_not_swept(name: str, tmp_path: Path) -> None:
    """Every engine that torch runs there has the number of the last one that was loaded."""
    bundle = Bundle.load(write_bundle(tmp_path / "bundle", manifest(engine(name))))
    with (
        pytest.raises(UnavailableError, match=f"torch runs {name}, and has one number of threads for all"),
        _sweeps.thread_sweep(bundle),
    ):
        pass


def test_an_unknown_sweep_is_refused(bundle_path: Path) -> None:
    with pytest.raises(
        UsageError, match="--case width matches none of: batch, threads, pixels, faces, requests"
    ):
        benchmark.run([str(bundle_path), "--case", "width"])
