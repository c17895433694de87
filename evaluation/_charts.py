"""Geometry of the report's charts; the template draws them as SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.evaluation._figures import CalibrationFigures
from lnlattennet.evaluation._metrics import ReliabilityBin

_CELL = 46
_LONGEST_NAME = 14
_THUMBNAIL = 160
PLOT = 260
"""Pixels of a reliability diagram's side."""


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: position of its corner, count, and opacity of its shade."""

    x: int
    y: int
    count: int
    opacity: float
    right: bool
    title: str


@dataclass(frozen=True)
class ConfusionChart:
    """A confusion matrix: one row per true class, shaded by the share of that class.

    Attributes:
        margin: space for the names on the left and on top.
        side: width and height with that space.
        cell: width and height of a cell.
        labels: names with the position of their middle.
        cells: all cells.
    """

    margin: int
    side: int
    cell: int
    labels: list[tuple[str, float]]
    cells: list[Cell]


@dataclass(frozen=True)
class ReliabilityBar:
    """A bin of a reliability diagram: accuracy, gap to the confidence, and number of faces, in pixels."""

    x: float
    width: float
    y: float
    height: float
    gap_y: float
    gap_height: float
    count_height: float
    title: str


def confusion_chart(names: Sequence[str], confusion: list[list[int]]) -> ConfusionChart:
    """Lay out a confusion matrix."""
    margin = 14 + 8 * max(min(len(name), _LONGEST_NAME) for name in names)
    order = range(len(names))
    return ConfusionChart(
        margin=margin,
        side=margin + len(names) * _CELL,
        cell=_CELL,
        labels=[(_short(name), margin + index * _CELL + _CELL / 2) for index, name in enumerate(names)],
        cells=[_cell(names, confusion, row, column, margin) for row in order for column in order],
    )


def reliability_bars(calibration: CalibrationFigures) -> list[ReliabilityBar]:
    """Lay out a reliability diagram of ``PLOT`` pixels a side, with a histogram of the faces below it."""
    most = max(entry.faces for entry in calibration.bins)
    return [_bar(entry, most) for entry in calibration.bins if entry.faces]


def thumbnail(face: NDArray[np.uint8]) -> str:
    """Return a face uint8 [S, S, 3] as a PNG data URI, at most 160 pixels a side."""
    image = Image.fromarray(face)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _bar(entry: ReliabilityBin, most: int) -> ReliabilityBar:
    accuracy, confidence = entry.accuracy or 0.0, entry.confidence or 0.0
    height, expected = accuracy * PLOT, confidence * PLOT
    return ReliabilityBar(
        x=round(entry.low * PLOT, 2),
        width=round((entry.high - entry.low) * PLOT, 2),
        y=round(PLOT - height, 2),
        height=round(height, 2),
        gap_y=round(PLOT - max(height, expected), 2),
        gap_height=round(abs(height - expected), 2),
        count_height=round(40 * entry.faces / most, 2),
        title=f"confidence {entry.low:.2f} to {entry.high:.2f}: {entry.faces} faces, "
        f"mean confidence {confidence:.3f}, {accuracy:.1%} right",
    )


def _cell(names: Sequence[str], confusion: list[list[int]], row: int, column: int, margin: int) -> Cell:
    count, faces = confusion[row][column], sum(confusion[row])
    share = count / faces if faces else 0.0
    return Cell(
        x=margin + column * _CELL,
        y=margin + row * _CELL,
        count=count,
        # Even one face in a hundred must be seen.
        opacity=round(0.1 + 0.65 * share, 3) if count else 0,
        right=row == column,
        title=f"{names[row]} read as {names[column]}: {count} of {faces} ({share:.1%})",
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
