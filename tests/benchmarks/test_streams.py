"""Folders of photographs: both ways through one are timed on the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.benchmarks.streams.__main__ import ALL_CORES, ONE_AT_A_TIME, measure
from lnlattennet.errors import LnlAttenNetError


def test_both_ways_go_through_the_folder(bundle_path: Path) -> None:
    record = measure(bundle_path, 2, 1, None, None)
    (case,) = record.cases
    assert case.name == "2 photographs"
    for name in (ALL_CORES, ONE_AT_A_TIME):
        timing = case.timing(name)
        assert timing is not None
        assert len(timing.samples_us) == 1
        (processor,) = record.facts["processor_seconds_per_image"][name]
        assert processor > 0.05


def test_a_package_that_cannot_run_is_named(bundle_path: Path) -> None:
    with pytest.raises(LnlAttenNetError, match=r"/bin/false failed"):
        measure(bundle_path, 1, 1, None, Path("/bin/false"))
