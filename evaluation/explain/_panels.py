"""Panels that explain one face, or the means of every expression of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnlattennet.evaluation.explain._class_means import ClassMean
from lnlattennet.evaluation.explain._drawing import (
    ATTENTION_COLORS,
    INK,
    WEIGHT_COLORS,
    Face,
    RegionMap,
    Values,
    bare,
    color_bar,
    draw_face,
    draw_gray,
    draw_grid,
    mark_region,
    new_figure,
)
from lnlattennet.evaluation.explain._internals import Explanation

_COLUMNS = 4
_SIDE = 2.9
"""Width of a face panel's column in inches."""
_CLASS_SIDE = 2.0
_MOST_ROWS = 24
"""Rows of one panel; a data set may have a thousand classes."""


def face_panel(
    face: NDArray[np.uint8],
    explanation: Explanation,
    *,
    grid: int,
    region: int,
    class_names: tuple[str, ...],
    name: str,
) -> Figure:
    """Draw region weights, affinity around a region, and local attention per head, of one face.

    Args:
        face: input of the network, RGB [S, S, 3].
        explanation: explanation of this face alone (N = 1).
        grid: regions per side.
        region: region whose row of the affinity is shown.
        class_names: expressions in the order of the probabilities.
        name: name of the image, for the title.
    """
    heads, probabilities = explanation.local_attention[0], explanation.probabilities[0]
    rows = math.ceil((3 + len(heads)) / _COLUMNS)
    figure = new_figure(_COLUMNS * _SIDE, rows * (_SIDE + 0.6) + 0.4)
    axes = list(figure.subplots(rows, _COLUMNS).flat)
    best = np.argsort(-probabilities)[:3]
    predictions = "   ".join(f"{class_names[label]} {probabilities[label]:.1%}" for label in best)
    # A `$` in a file's or class's name is no mathematics.
    figure.suptitle(f"{name}:  {predictions}", color=INK, fontsize=12, parse_math=False)
    draw_face(axes[0], face, grid)
    bare(axes[0], "face as the network sees it")
    axes[0].set_anchor("N")
    highest = int(explanation.weights[0].argmax())
    for panel, values, marked, title, whole in (
        (axes[1], explanation.weights[0], highest, f"region weights (highest: region {highest})", "weight"),
        (
            axes[2],
            explanation.affinity[0][region],
            region,
            f"weights around region {region} (its affinity)",
            "row",
        ),
    ):
        label = f"share of the {whole} (even: 1/{grid**2})"
        _draw_regions([panel], [values], [face], grid, title=title, label=label, marked=marked)
    for head, attention in enumerate(heads):
        which = "" if len(heads) == 1 else f", head {head + 1} of {len(heads)}"
        title = f"local attention inside every region{which}"
        _draw_attention([axes[3 + head]], [attention], [face], grid, title)
    for unused in axes[3 + len(heads) :]:
        unused.remove()
    return figure


def class_panel(means: Sequence[ClassMean], *, grid: int, region: int, name: str) -> Figure:
    """Draw mean face and attention of every expression, a row each; every column has one scale.

    Args:
        means: one or more; of more than 24 classes those with most faces are drawn.
        grid: regions per side.
        region: region whose row of the affinity is shown.
        name: name of the data set, for the title.
    """
    most = sorted(range(len(means)), key=lambda index: -means[index].count)[:_MOST_ROWS]
    rows = [means[index] for index in sorted(most)]
    known_change = [mean.change for mean in rows if mean.change is not None]
    width = 4 + bool(known_change)
    figure = new_figure(width * _CLASS_SIDE + 0.4, len(rows) * _CLASS_SIDE + 1.2)
    columns = np.asarray(figure.subplots(len(rows), width, squeeze=False)).T
    total = sum(mean.count for mean in means)
    # A `$` in a folder's or class's name is no mathematics.
    figure.suptitle(f"{name}: means over {total:,} faces", color=INK, fontsize=12, parse_math=False)
    for axes, mean in zip(columns[0], rows, strict=True):
        draw_face(axes, mean.face, grid)
        bare(axes)
        axes.set_ylabel(f"{mean.name} ({mean.count:,})", fontsize=9, color=INK, parse_math=False)
    bare(columns[0][0], "mean face")
    faces = [mean.face for mean in rows]
    around = [mean.affinity[region] for mean in rows]
    _draw_regions(columns[1], [mean.weights for mean in rows], faces, grid, title="region weights")
    _draw_regions(columns[2], around, faces, grid, title=f"weights around region {region}", marked=region)
    _draw_attention(columns[3], [mean.attention for mean in rows], faces, grid, "local attention")
    if known_change:
        _draw_regions(columns[4], known_change, faces, grid, title="what really changes")
    return figure


def _draw_regions(
    column: Sequence[Axes],
    values: Sequence[Values],
    faces: Sequence[Face],
    grid: int,
    *,
    title: str,
    label: str = "share",
    marked: int | None = None,
) -> None:
    """Draw one value per region [K] over each gray face, on one scale."""
    top = max(float(value.max()) for value in values)
    for axes, value, face in zip(column, values, faces, strict=True):
        RegionMap(axes, value, grid, top, face)
        bare(axes)
        if marked is not None:
            mark_region(axes, marked, grid)
    bare(column[0], title)
    color_bar(column, label, top, WEIGHT_COLORS, len(column))


def _draw_attention(
    column: Sequence[Axes], attention: Sequence[Values], faces: Sequence[Face], grid: int, title: str
) -> None:
    """Draw local attention [H, W] over each gray face, which shows through where attention is low."""
    # Multiples of even attention, which is what a plain mean would be.
    relative = np.stack(attention) * (attention[0].size / grid**2)
    # The few positions above would leave the rest dark.
    top = float(np.quantile(relative, 0.995))
    for axes, shown, face in zip(column, relative, faces, strict=True):
        draw_gray(axes, face, grid)
        opacity = (1.6 * shown / top - 0.35).clip(0, 0.95)
        extent = (0, grid, grid, 0)
        axes.imshow(shown, cmap=ATTENTION_COLORS, vmin=0, vmax=top, extent=extent, alpha=opacity)
        draw_grid(axes, grid)
        bare(axes)
    bare(column[0], title)
    color_bar(column, "times even attention", top, ATTENTION_COLORS, len(column))
