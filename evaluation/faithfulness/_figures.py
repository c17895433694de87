"""Figures of every reading, with intervals over the faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet._statistics import Estimate, Floats, mean_interval, mean_ratio_interval
from lnlattennet.evaluation.faithfulness._covering import FILLS
from lnlattennet.evaluation.faithfulness._measure import Measurements, Steps
from lnlattennet.evaluation.faithfulness._readings import RANDOM


@dataclass(frozen=True)
class CoveredFigures:
    """Accuracy lost with a quarter of the regions covered.

    Attributes:
        highest: with the quarter that the reading ranks highest.
        lowest: with the quarter that it ranks lowest.
        times_random: ``highest`` over what a random quarter costs; None if that costs nothing.
    """

    highest: Estimate
    lowest: Estimate
    times_random: Estimate | None


@dataclass(frozen=True)
class ReadingFigures:
    """Figures of one reading.

    Attributes:
        name: its name.
        covered: fill to the accuracy lost.
        deletion: area under the deletion curve, 0 to 1; lower is more faithful.
        insertion: area under the insertion curve; higher is more faithful.
        rank_correlation: with the drop when each region alone is covered, mean over the faces.
        deletion_curve, insertion_curve: mean probability of the prediction at every step.
    """

    name: str
    covered: dict[str, CoveredFigures]
    deletion: Estimate
    insertion: Estimate
    rank_correlation: Estimate
    deletion_curve: list[float]
    insertion_curve: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "covered": {
                fill: {name: value and value.to_dict() for name, value in vars(figures).items()}
                for fill, figures in self.covered.items()
            },
            **{name: getattr(self, name).to_dict() for name in ("deletion", "insertion", "rank_correlation")},
            "deletion_curve": [round(value, 4) for value in self.deletion_curve],
            "insertion_curve": [round(value, 4) for value in self.insertion_curve],
        }


def reading_figures(measured: Measurements, steps: Steps) -> list[ReadingFigures]:
    """Return the figures of every reading, in the order of the measurements."""
    random = measured.readings.index(RANDOM)
    figures = []
    for index, name in enumerate(measured.readings):
        covered = {}
        for fill in FILLS:
            lost = measured.right[:, None] - measured.highest[fill]
            covered[fill] = CoveredFigures(
                highest=mean_interval(lost[:, index]),
                lowest=mean_interval(measured.right - measured.lowest[fill][:, index]),
                times_random=mean_ratio_interval(lost[:, index], lost[:, random]),
            )
        deletion, insertion = measured.deletion[:, index], measured.insertion[:, index]
        figures.append(
            ReadingFigures(
                name=name,
                covered=covered,
                deletion=mean_interval(area(deletion, steps)),
                insertion=mean_interval(area(insertion, steps)),
                rank_correlation=mean_interval(measured.correlation[:, index]),
                deletion_curve=deletion.mean(axis=0).tolist(),
                insertion_curve=insertion.mean(axis=0).tolist(),
            )
        )
    return figures


def area(curves: Floats, steps: Steps) -> Floats:
    """Return the area under curves [..., counts] over the share of regions, by the trapezoid rule."""
    widths = np.diff(steps.counts) / steps.regions
    return np.asarray(((curves[..., 1:] + curves[..., :-1]) / 2 * widths).sum(axis=-1))
