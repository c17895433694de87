"""The training benchmark's record: who was counted how often, never how fast."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.benchmarks.training.throughput import TRAINER, print_record, training_record
from tests.training.trees import TINY


@pytest.mark.slow
def test_every_rival_is_counted_equally_often(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = dataclasses.replace(TINY, classes=7)
    record = training_record(network, steps=4, epochs=3, batch_size=7, folder=tmp_path)
    samples = record["samples_s"]
    # Two epochs of four steps count, each without its first step.
    assert [len(values) for values in samples.values()] == [6, 6, 6]
    assert len(record["resident_bytes"]) == 12
    assert 0 < record["waiting_for_data"] < 1
    for name, ratio in record["rival_over_trainer"].items():
        expected = np.median(samples[name]) / np.median(samples[TRAINER])
        assert ratio["ratio"] == pytest.approx(expected)
        assert ratio["low"] <= ratio["high"]
    print_record(record)
    assert "waiting for data" in capsys.readouterr().out
