"""Provenance that a training would store, without a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lnlattennet.data._protocols import Folds
from lnlattennet.training._data import open_training_data
from tests.training.trees import options

SEED = 5


def provenance_of(
    tree: Path, folds: Folds, fold: int | None, layout: str | None = None, holdout: float | None = None
) -> dict[str, Any]:
    """Return the provenance of a run on this fold, holdout or official split, as read from a checkpoint."""
    chosen = options(tree, tree, folds=folds, fold=fold, holdout=holdout, seed=SEED, format=layout)
    facts = open_training_data(chosen)[0].facts | {
        "settings": chosen.settings(),
        "command": "lnlattennet train",
    }
    stored: dict[str, Any] = json.loads(json.dumps(facts))
    return stored
