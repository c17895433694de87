"""Chart of deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnlattennet.evaluation.explain._drawing import QUIET, new_figure
from lnlattennet.evaluation.faithfulness._readings import RANDOM, SINGLE_DROP

_BOUNDS = {RANDOM: ":", SINGLE_DROP: "--"}
"""Lines of the readings that the others lie between."""


def curves_figure(document: Mapping[str, Any]) -> Figure:
    """Draw both curves of every reading of a record: mean probability of the prediction, in percent."""
    figure = new_figure(9.5, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    shares = [100 * count / document["regions"] for count in document["steps"]]
    for axes, curve, action in zip(panels, ("deletion", "insertion"), ("covered", "uncovered"), strict=True):
        for reading in document["readings"]:
            style = _BOUNDS.get(reading["name"], "-")
            color = {"color": QUIET} if style != "-" else {}
            values = [100 * value for value in reading[f"{curve}_curve"]]
            axes.plot(shares, values, style, marker=".", linewidth=1.6, label=reading["name"], **color)
        axes.set_title(curve, fontsize=10)
        axes.set_xlabel(f"regions {action}, highest first, %")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("probability of the prediction, %")
    panels[0].legend(frameon=False, fontsize=8)
    return figure
