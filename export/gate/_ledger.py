"""Every face's worst value of one metric over all calls, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._comparison import Found, Scores, differing_region

_AT_LEAST = ("cosine", "top1_agreement", "top3_overlap")
"""Metrics that are better the larger they are."""

_MEANS = ("kl", "top1_agreement", "top3_overlap")
"""Metrics that are judged by their mean over the faces; the others by the worst face."""


@dataclass(frozen=True)
class Measure:
    """One metric of one output.

    Attributes:
        metric: as in ``manifest.Check``.
        output: name of the engine's output.
        limit: what passes, unless the scores say so face by face; None requires nothing.
        compare: (found, expected) of one call -> scores.
    """

    metric: str
    output: str
    limit: float | None
    compare: Callable[[Found, Found], Scores]


class Ledger:
    """What one measure gave so far: for each face the worst value, its limit, its batch size and region.

    A face's worst call counts in means too, so that a fault at one batch size shows.
    """

    def __init__(self, measure: Measure, faces: int) -> None:
        self._measure = measure
        self._badness = np.full(faces, -np.inf)
        self._value = np.full(faces, np.nan)
        self._limit = np.full(faces, np.nan)
        self._batch = np.zeros(faces, np.int64)
        self._region = np.zeros(faces, np.int64)

    def note(self, order: NDArray[np.int64], size: int, found: Found, expected: Found) -> None:
        """Compare the answers of a call; ``order`` [n] tells whose they are, ``size`` is the call's batch."""
        if not len(order):
            return
        measure = self._measure
        scores = measure.compare(found, expected)
        regions = differing_region(found, expected) if scores.region is None else scores.region
        allowed = np.full(len(order), measure.limit or 0.0) if scores.allowed is None else scores.allowed
        badness = scores.value - allowed
        if measure.metric in _AT_LEAST:
            badness = -badness
        # One by one: in a batch larger than the number of faces, some come twice.
        for row, face in enumerate(order):
            if badness[row] > self._badness[face]:
                self._badness[face], self._value[face] = badness[row], scores.value[row]
                self._limit[face], self._batch[face] = allowed[row], size
                self._region[face] = regions[row]

    def check(self) -> Check | None:
        """Return the verdict, or None if no answer could be compared."""
        measure = self._measure
        seen = np.isfinite(self._value)
        if not seen.any():
            return None
        worst = int(self._badness.argmax())
        mean = measure.metric in _MEANS
        value = float(self._value[seen].mean() if mean else self._value[worst])
        limit = None if measure.limit is None else float(measure.limit if mean else self._limit[worst])
        return Check(
            metric=measure.metric,
            output=measure.output,
            value=value,
            limit=limit,
            passed=limit is None or (value >= limit if measure.metric in _AT_LEAST else value <= limit),
            batch=int(self._batch[worst]),
            sample=worst,
            region=None if measure.output == "logits" else int(self._region[worst]),
        )
