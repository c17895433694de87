"""The training benchmark's record: who was counted how often, never how fast."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lnlattennet.benchmarks.harness._record import WARM
from lnlattennet.benchmarks.training.throughput import TRAINER, measure, throughput_table
from tests.training.trees import TINY


@pytest.mark.slow
def test_every_candidate_is_counted_equally_often(tmp_path: Path) -> None:
    network = dataclasses.replace(TINY, classes=7)
    record = measure(network, steps=4, epochs=3, batch_size=7, folder=tmp_path)
    [case] = record.cases
    # Two epochs of four steps count, each without its first step.
    assert [len(result.timings[WARM].samples_us) for result in case.candidates.values()] == [6, 6, 6]
    assert len(record.facts["resident_bytes"]) == 12
    assert 0 < record.facts["waiting_for_data"] < 1
    table, own = throughput_table(record), case.timing(TRAINER)
    assert "waiting for data" in table
    for name in case.candidates:
        timing = case.timing(name)
        assert timing is not None
        assert own is not None
        [row] = [line for line in table.splitlines() if f"  {name}  " in line]
        assert f"{timing.median_us / 7e3:.2f}" in row
        assert f"{timing.median_us / own.median_us:.3f}" in row
