"""Panel of one face: region weights, affinity around a region, local attention per head."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnlattennet.evaluation.explain._drawing import (
    ATTENTION_COLORS,
    INK,
    WEIGHT_COLORS,
    RegionMap,
    attention_top,
    bare,
    color_bar,
    draw_attention,
    draw_face,
    mark_region,
    new_figure,
)
from lnlattennet.evaluation.explain._internals import Explanation, Floats

_COLUMNS = 4
_SIDE = 2.9
"""Width of a column in inches."""


def face_panel(
    face: NDArray[np.uint8],
    explanation: Explanation,
    *,
    grid: int,
    region: int,
    class_names: tuple[str, ...],
    name: str,
) -> Figure:
    """Draw one face.

    Args:
        face: as the network saw it, RGB [S, S, 3].
        explanation: of this face alone (N = 1).
        grid: regions per side.
        region: whose row of the affinity is shown.
        class_names: expressions in the order of the probabilities.
        name: name of the image, for the title.
    """
    heads = explanation.local_attention[0]
    rows = math.ceil((3 + len(heads)) / _COLUMNS)
    figure = new_figure(_COLUMNS * _SIDE, rows * (_SIDE + 0.6) + 0.4)
    axes = list(figure.subplots(rows, _COLUMNS).flat)
    # A `$` in a file's or class's name is no mathematics.
    figure.suptitle(
        _title(name, explanation.probabilities[0], class_names), color=INK, fontsize=12, parse_math=False
    )
    draw_face(axes[0], face, grid)
    bare(axes[0], "face as the network sees it")
    axes[0].set_anchor("N")
    _draw_weights(axes[1], face, explanation.weights[0], grid)
    _draw_affinity(axes[2], face, explanation.affinity[0][region], grid, region)
    for head, attention in enumerate(heads):
        which = "" if len(heads) == 1 else f", head {head + 1} of {len(heads)}"
        _draw_attention(axes[3 + head], face, attention, grid)
        bare(axes[3 + head], f"local attention inside every region{which}")
    for unused in axes[3 + len(heads) :]:
        unused.remove()
    return figure


def _draw_attention(axes: Axes, face: NDArray[np.uint8], attention: Floats, grid: int) -> None:
    relative = attention * (attention.size / grid**2)
    top = attention_top(relative)
    draw_attention(axes, relative, grid, top, face)
    color_bar([axes], "times even attention", top, ATTENTION_COLORS)


def _draw_weights(axes: Axes, face: NDArray[np.uint8], weights: Floats, grid: int) -> None:
    top = float(weights.max())
    RegionMap(axes, weights, grid, top, face)
    mark_region(axes, int(weights.argmax()), grid)
    bare(axes, f"region weights (highest: region {weights.argmax()})")
    color_bar([axes], f"share of the weight (even: 1/{grid**2})", top, WEIGHT_COLORS)


def _draw_affinity(axes: Axes, face: NDArray[np.uint8], row: Floats, grid: int, region: int) -> None:
    top = float(row.max())
    RegionMap(axes, row, grid, top, face)
    mark_region(axes, region, grid)
    bare(axes, f"weights around region {region} (its affinity)")
    color_bar([axes], f"share of the row (even: 1/{grid**2})", top, WEIGHT_COLORS)


def _title(name: str, probabilities: Floats, class_names: tuple[str, ...]) -> str:
    best = np.argsort(-probabilities)[:3]
    predictions = "   ".join(f"{class_names[label]} {probabilities[label]:.1%}" for label in best)
    return f"{name}:  {predictions}"
