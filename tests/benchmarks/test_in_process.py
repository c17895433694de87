"""Two versions in processes of their own: both answer every image, and one that cannot start is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.benchmarks.serving import in_process
from lnlattennet.benchmarks.serving.in_process import NOW, measure
from lnlattennet.errors import LnlAttenNetError


def test_both_versions_predict_every_image(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = {name: image for name, image in photographs().items() if name in ("crop 112", "512")}
    monkeypatch.setattr(in_process, "photographs", lambda: images)
    record = measure(bundle_path, Path(sys.executable), 2)
    assert record.benchmark == "serving.in_process"  # `bench compare` takes it for no run of the suite
    assert [case.name for case in record.cases] == ["crop 112", "512"]
    for case in record.cases:
        assert set(case.candidates) == {EARLIER, NOW}
        for name in case.candidates:
            timing = case.timing(name)
            assert timing is not None
            assert len(timing.samples_us) == 2
            assert min(timing.samples_us) > 0


def test_a_version_that_cannot_run_is_named(bundle_path: Path) -> None:
    with pytest.raises(LnlAttenNetError, match=r"false.* ended"):
        measure(bundle_path, Path("/bin/false"), 2)
