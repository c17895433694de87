"""Evaluations of this project's models, as `lnlattennet evaluate --json` prints them."""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.leaderboard._published import TEST_SETS

_SEED = re.compile(r"-seed\d+$")


@dataclass(frozen=True)
class EvaluationRecord:
    """A document of `lnlattennet evaluate --json`.

    Attributes:
        document: the document.
        path: its file.
    """

    document: Mapping[str, Any]
    path: Path

    @property
    def test_set(self) -> str:
        """The data set, such as "ferplus", whatever its layout; "affectnet-7" tells the classes too."""
        data_format: str = self.document["data"]["format"]
        name = data_format.partition("-")[0]
        if name == "affectnet":
            return f"{name}-{len(self.document['data']['faces_per_class'])}"
        return name if name in TEST_SETS else data_format

    @property
    def is_official(self) -> bool:
        """Whether the faces are those that others publish figures of: AffectNet has no public test."""
        split: str = self.document["data"]["split"]
        return split == ("val" if self.test_set.startswith("affectnet") else "test")

    @property
    def recipe(self) -> str:
        """The model's name without suffix and seed: "ferplus-base" of ferplus-base-seed1.safetensors."""
        return _SEED.sub("", self.document["model"]["name"].removesuffix(".safetensors"))

    @property
    def sha256(self) -> str:
        """The checkpoint's hash; "" where the document does not tell."""
        return str(self.document["model"].get("checkpoint_sha256", ""))

    @property
    def accuracy(self) -> float:
        """Accuracy in percent."""
        return 100 * float(self.document["accuracy"]["value"])

    @property
    def macro_recall(self) -> float:
        """Mean recall of the classes that have faces, percent."""
        recalls = (row["recall"]["value"] for row in self.document["classes"])
        return 100 * float(statistics.mean(value for value in recalls if value is not None))

    @property
    def left_out(self) -> int:
        """Faces of classes that the model does not know."""
        return int(self.document["data"]["faces"] - self.document["faces"])

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The largest class of all faces, and its share in percent."""
        counts = self.document["data"]["faces_per_class"]
        name = max(counts, key=counts.__getitem__)
        return name, 100 * counts[name] / sum(counts.values())


def read_evaluations(folder: Path) -> list[EvaluationRecord]:
    """Read every document of a folder, in the order of their names; those of covered faces are left out."""
    records = [EvaluationRecord(json.loads(path.read_text()), path) for path in sorted(folder.glob("*.json"))]
    return [record for record in records if not record.document["covered_regions"]]


def by_recipe(records: Sequence[EvaluationRecord]) -> dict[str, list[EvaluationRecord]]:
    """Group the records of one test set by the recipe of their models."""
    groups = defaultdict(list)
    for record in records:
        groups[record.recipe].append(record)
    return dict(groups)
