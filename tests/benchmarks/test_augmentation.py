"""The augmentation benchmark's record: every sample of every candidate, never how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lnlattennet.benchmarks.training.augmentation import BATCH, kornia_faces, opencv_faces
from lnlattennet.data.synthetic._splits import render_split


@pytest.mark.slow
def test_every_candidate_is_counted_equally_often(tmp_path: Path) -> None:
    """A process of its own: it sets the number of threads."""
    record_path = tmp_path / "record.json"
    command = [
        sys.executable,
        "-m",
        "lnlattennet.benchmarks.training.augmentation",
        "--rounds",
        "2",
        "-o",
        str(record_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    [case] = json.loads(record_path.read_text())["cases"]
    assert len(case["candidates"]) == 3
    for name, result in case["candidates"].items():
        timing = result["timings"]["warm"]
        assert len(timing["samples_us"]) == 2
        assert timing["median_us"] == pytest.approx(np.median(timing["samples_us"]), abs=1e-3)
        assert f"{timing['median_us'] / BATCH / 1e3:.2f}" in done.stdout
        assert name in done.stdout


def test_all_of_them_change_faces_into_faces() -> None:
    faces = torch.from_numpy(render_split("train", 6, 48)[0]).permute(0, 3, 1, 2)
    for change in (opencv_faces(0), kornia_faces(6), kornia_faces(1)):
        changed = change(faces)
        assert (changed.shape, changed.dtype) == (faces.shape, torch.uint8)
        difference = (changed.float() - faces.float()).abs().mean(dim=(1, 2, 3))
        assert bool((difference > 1).all())
        assert bool((difference < 128).all())
