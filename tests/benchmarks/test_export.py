"""The benchmark of exports: every step that an export names is timed, in a process of its own."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest

from lnlattennet._console import status
from lnlattennet.benchmarks.export import __main__ as benchmark
from lnlattennet.benchmarks.export.__main__ import EXPORT, REST, WHOLE
from lnlattennet.benchmarks.export._process import Steps
from lnlattennet.errors import LnlAttenNetError
from tests.conftest import restored_logging


def test_steps_of_one_kind_are_added_up() -> None:
    steps, logger = Steps(), logging.getLogger("lnlattennet")
    with restored_logging():
        logger.addHandler(steps)
        logger.setLevel(logging.DEBUG)
        for name in ("a", "b"):
            with status(f"building {name}"):
                time.sleep(0.01)
        with status("timing 2 engines"):
            pass
        with pytest.raises(ValueError, match="refused"), status("building c"):
            raise ValueError("refused")
    assert list(steps.seconds) == ["building", "timing"]
    assert steps.seconds["building"] >= 0.02


@pytest.mark.slow
def test_the_steps_of_an_export_are_the_whole_process(
    checkpoint_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "export.json"
    # In int8 the network of the tests fails the gate on a CPU whose sums saturate; in fp32 it never does.
    precisions = ["--precision", "int8", "--precision", "fp32"]
    options = ["--backend", "openvino", *precisions, "--rounds", "1", "-o", str(file)]
    assert benchmark.run(["-c", str(checkpoint_path), *options]) == 0
    record = json.loads(file.read_text())
    seconds = {
        case["name"]: case["candidates"][EXPORT]["timings"]["warm"]["samples_us"][0] / 1e6
        for case in record["cases"]
    }
    steps = ["computing", "exporting", "calibrating", "building", "verifying", "timing"]
    assert list(seconds) == [*steps, REST, WHOLE]
    assert min(seconds.values()) > 0
    assert sum(seconds.values()) == pytest.approx(2 * seconds[WHOLE])
    builds = [build for (build,) in record["build_seconds"].values()]
    assert min(builds) > 0
    assert sum(builds) <= seconds["building"] + 0.01 * len(builds)
    assert record["peak_memory_mb"][0] > 100
    printed = capsys.readouterr().out
    assert "openvino-fp32" in printed
    assert "the whole process" in printed


def test_an_export_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(LnlAttenNetError, match=r"the export of .*nothing failed:\nerror: no checkpoint file"):
        benchmark.run(["-c", str(tmp_path / "nothing")])
