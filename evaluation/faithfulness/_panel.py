"""Panel of faces with the scores of every reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnlattennet.evaluation.explain._drawing import INK, RegionMap, bare, draw_face, new_figure
from lnlattennet.evaluation.predictors._base import Faces

_SIDE = 1.7


def readings_panel(
    faces: Faces, names: Sequence[str], readings: Sequence[str], scores: NDArray[np.floating[Any]], grid: int
) -> Figure:
    """Draw a row per face: the face, and every reading as shares of its highest region.

    Args:
        faces: RGB [n, S, S, 3], n of 1 or more.
        names: names of the rows.
        readings: names of the readings [R].
        scores: [n, R, K].
        grid: regions per side.
    """
    figure = new_figure((1 + len(readings)) * _SIDE, len(faces) * _SIDE + 0.3)
    rows = figure.subplots(len(faces), 1 + len(readings), squeeze=False)
    for row, face, name, values in zip(rows, faces, names, scores, strict=True):
        draw_face(row[0], face, grid)
        bare(row[0])
        row[0].set_ylabel(name, fontsize=8, color=INK, parse_math=False)
        for axes, value in zip(row[1:], values, strict=True):
            highest = value.max()
            shares = value / highest if highest > 0 else value
            # Adding 0 turns -0 into 0.
            RegionMap(axes, shares.round(3) + 0.0, grid, 1.0, face)
            bare(axes)
    for axes, title in zip(rows[0], ("face", *readings), strict=True):
        bare(axes, title)
    return figure
