"""Data sets and checkpoints that several tests of training start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.training._train import train
from tests.training.trees import options, write_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 training and 6 test faces of each of three classes, no validation."""
    return write_tree(tmp_path_factory.mktemp("data") / "face-images", train=20, test=6)


@pytest.fixture(scope="session")
def first(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one epoch on ``tree``."""
    chosen = options(tmp_path_factory.mktemp("first"), tree, epochs=1)
    train(chosen)
    return chosen.output
