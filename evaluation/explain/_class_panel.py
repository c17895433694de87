"""Panel of a data set: mean face and attention of every expression, a row each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lnlattennet.evaluation.explain._class_means import ClassMean, Floats
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

_SIDE = 2.0
_MOST_ROWS = 24
"""Rows of one panel; a data set may have a thousand classes."""


def class_panel(means: Sequence[ClassMean], *, grid: int, region: int, name: str) -> Figure:
    """Draw the means; every column has one scale for all rows.

    Args:
        means: one or more; of more than 24 classes those with most faces are drawn.
        grid: regions per side.
        region: whose row of the affinity is shown.
        name: of the data, for the title.
    """
    most = sorted(range(len(means)), key=lambda index: -means[index].count)[:_MOST_ROWS]
    rows = [means[index] for index in sorted(most)]
    known_change = [mean.change for mean in rows if mean.change is not None]
    figure = new_figure((4 + bool(known_change)) * _SIDE + 0.4, len(rows) * _SIDE + 1.2)
    columns = np.asarray(figure.subplots(len(rows), 4 + bool(known_change), squeeze=False)).T
    faces = sum(mean.count for mean in means)
    # A `$` in a folder's or class's name is no mathematics.
    figure.suptitle(f"{name}: means over {faces:,} faces", color=INK, fontsize=12, parse_math=False)
    _draw_faces(columns[0], rows, grid)
    _draw_regions(columns[1], "region weights", [mean.weights for mean in rows], rows, grid)
    around = [mean.affinity[region] for mean in rows]
    _draw_regions(columns[2], f"weights around region {region}", around, rows, grid)
    for axes in columns[2]:
        mark_region(axes, region, grid)
    _draw_attention(columns[3], rows, grid)
    if known_change:
        _draw_regions(columns[4], "what really changes", known_change, rows, grid)
    return figure


def _draw_faces(column: Sequence[Axes], rows: Sequence[ClassMean], grid: int) -> None:
    for axes, mean in zip(column, rows, strict=True):
        draw_face(axes, mean.face, grid)
        bare(axes)
        axes.set_ylabel(f"{mean.name} ({mean.count:,})", fontsize=9, color=INK, parse_math=False)
    bare(column[0], "mean face")


def _draw_regions(
    column: Sequence[Axes], title: str, values: Sequence[Floats], rows: Sequence[ClassMean], grid: int
) -> None:
    top = max(float(value.max()) for value in values)
    for axes, value, mean in zip(column, values, rows, strict=True):
        RegionMap(axes, value, grid, top, mean.face)
        bare(axes)
    bare(column[0], title)
    color_bar(column, "share", top, WEIGHT_COLORS, len(rows))


def _draw_attention(column: Sequence[Axes], rows: Sequence[ClassMean], grid: int) -> None:
    relative = np.stack([mean.attention for mean in rows]) * (rows[0].attention.size / grid**2)
    top = attention_top(relative)
    for axes, shown, mean in zip(column, relative, rows, strict=True):
        draw_attention(axes, shown, grid, top, mean.face)
        bare(axes)
    bare(column[0], "local attention")
    color_bar(column, "times even attention", top, ATTENTION_COLORS, len(rows))
