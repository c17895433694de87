"""Rules of the training options that hold before any data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lnlattennet.errors import UsageError
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


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"epochs": 0}, "--epochs must be an integer from 1, got 0"),
        ({"epochs": True}, "--epochs must be an integer from 1, got True"),
        ({"batch_size": 0}, "--batch-size must be an integer from 2, got 0"),
        ({"seed": -5}, "--seed must be an integer from 0 to 4095, got -5"),
        ({"seed": 4096}, "--seed must be an integer from 0 to 4095, got 4096"),
        ({"patience": 0}, "--patience must be an integer from 1, got 0"),
        ({"workers": 1.5}, "--workers must be an integer from 1, got 1.5"),
        ({"images": {"val": 7}}, "--val-images 7 is for --data synthetic; a data set has its own faces"),
    ],
)
def test_a_number_that_breaks_its_rule_is_named(wrong: dict[str, Any], rule: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{rule}$"):
        options(tmp_path, "faces", **wrong).check()


@pytest.mark.parametrize(
    "images",
    [{}, {"train": 7}, {"train": 7, "val": 6}, {"train": 7, "val": 7.0}, {"train": 7, "val": 7, "text": 7}],
)
def test_rendered_faces_need_a_number_for_every_split(images: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="how many faces, 7 or more, are rendered for train, for val and"):
        options(tmp_path, "synthetic", images=images).check()
    for enough in ({"train": 7, "val": 7}, {"train": 7, "val": 7, "test": 7}):
        options(tmp_path, "synthetic", images=enough).check()
