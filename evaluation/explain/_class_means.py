"""Means per expression over a data set of any size, in memory that does not grow with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import Floats
from lnlattennet.evaluation.explain._internals import Explanation, rounded


@dataclass(frozen=True)
class ClassMean:
    """Mean over the faces of one expression.

    Attributes:
        name: name of the expression.
        count: number of averaged faces, 1 or more.
        face: mean face in 0..255 [S, S, 3].
        weights: mean region weights [K].
        affinity: mean affinity [K, K].
        attention: mean local attention over the heads [H, W]; sums to 1 inside every region.
        change: mean share of the visible change per region [K]; None unless the faces are rendered.
    """

    name: str
    count: int
    face: Floats
    weights: Floats
    affinity: Floats
    attention: Floats
    change: Floats | None = None

    def to_dict(self, region: int) -> dict[str, Any]:
        """Return the entry of the index, with the affinity around ``region`` only, as plain JSON values."""
        row = {
            "expression": self.name,
            "faces": self.count,
            "region_weights": rounded(self.weights),
            "affinity_row": rounded(self.affinity[region]),
        }
        return row if self.change is None else row | {"visible_change": rounded(self.change)}


class ClassMeans:
    """Running sums of explained faces per class.

    Args:
        class_names: expressions in the order of the labels.
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.counts = np.zeros(len(class_names), np.int64)
        self._sums: dict[str, Floats] = {}

    def add(
        self,
        faces: NDArray[np.uint8],
        labels: NDArray[np.int64],
        explanation: Explanation,
        change: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one chunk.

        Args:
            faces: RGB [N, S, S, 3].
            labels: indices into the class names [N].
            explanation: explanation of the same faces.
            change: share of the visible change per region [N, K], for every chunk or for none.
        """
        values = {
            "face": faces,
            "weights": explanation.weights,
            "affinity": explanation.affinity,
            "attention": explanation.local_attention.mean(axis=1),
        } | ({} if change is None else {"change": change})
        for label in np.unique(labels):
            chosen = labels == label
            self.counts[label] += chosen.sum()
            for name, value in values.items():
                empty = np.zeros((len(self.class_names), *value.shape[1:]))
                self._sums.setdefault(name, empty)[label] += value[chosen].sum(axis=0, dtype=np.float64)

    def means(self) -> list[ClassMean]:
        """Return the mean of every class that had faces, in the order of the class names."""
        return [
            ClassMean(name, int(count), **{key: total[label] / count for key, total in self._sums.items()})
            for label, (name, count) in enumerate(zip(self.class_names, self.counts, strict=True))
            if count > 0
        ]

    def mean_weights(self) -> Floats:
        """Return the mean region weights over all faces [K]."""
        return np.asarray(self._sums["weights"].sum(axis=0) / self.counts.sum())
