"""Rules of the training options that hold before any data is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.trees import options


@pytest.mark.parametrize(
    ("epochs", "given", "warmup"), [(1, None, 0), (2, None, 1), (9, None, 1), (9, 2.5, 2.5)]
)
def test_the_cosine_schedule_warms_up_for_an_epoch_unless_told(
    epochs: int, given: float | None, warmup: float, tmp_path: Path
) -> None:
    chosen = options(tmp_path, "faces", schedule="cosine", epochs=epochs, warmup_epochs=given)
    chosen.check()
    assert chosen.cosine_warmup == warmup
    assert chosen.settings()["warmup_epochs"] == given
