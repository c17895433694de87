"""Pareto fronts in the plots of HTML reports: who is on them, their lines, and numbers beside points.

Heights are pixels from the top of a plot, so the smaller is the better; positions across are percentages.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lnlattennet._charts import PLOT_HEIGHT

_PADDING = 30

# Labels are placed for the narrowest page; on a wider one the points only move apart.
_NARROWEST = 270
_LABEL_OFFSETS = [
    (dx * radius, dy * radius)
    for radius in (17, 26, 36)
    for dx, dy in ((0, -1), (-1, -1), (-1, 0), (1, -1), (1, 1), (0, 1), (-1, 1), (1, 0))
]
_LABEL_GAP = 15


def height(percent: float) -> float:
    """Return the pixels from the top for a share of the scale from its upper end, with room for labels."""
    return round(_PADDING + percent * (PLOT_HEIGHT - 2 * _PADDING) / 100, 1)


def front(costs: Sequence[float], heights: Sequence[float]) -> list[int]:
    """Return the indices that no other beats in both cost and height, from the least cost to the largest."""
    found: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], heights[index])):
        if not found or heights[index] < heights[found[-1]]:
            found.append(index)
    return found


def front_lines(places: Sequence[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """Return lines (x1, y1, x2, y2) of a front: between two points the cheaper is the best there is."""
    lines = []
    for (x1, y1), (x2, y2) in pairwise(places):
        lines += [(x1, y1, x2, y1), (x2, y1, x2, y2)]
    return lines


def label_offsets(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return an offset in pixels for each point's number, clear of points and of other numbers."""
    points = [(x * _NARROWEST / 100, y) for x, y in places]
    taken = list(points)
    offsets = []
    for x, y in points:
        best = max(_LABEL_OFFSETS, key=lambda offset: _clearance(x + offset[0], y + offset[1], taken))
        taken.append((x + best[0], y + best[1]))
        offsets.append((float(best[0]), float(best[1])))
    return offsets


def _clearance(x: float, y: float, taken: Sequence[tuple[float, float]]) -> float:
    """Return the distance to what is nearest, edges included; more than enough counts as enough."""
    inside = min(x, _NARROWEST - x, y, PLOT_HEIGHT - y)
    nearest = min(max(abs(x - a), abs(y - b)) for a, b in taken)
    return min(nearest, _LABEL_GAP - 2, inside + 5)
