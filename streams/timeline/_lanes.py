"""Paths and small images of the charts of a person, in boxes as wide as there are columns of time.

Every column is drawn as a step, because it is a mean over its time: nothing is interpolated, and a column
without the face is left out.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT = 120
"""Height of the box of a chart; the page stretches it."""

_PALETTE_STEPS = 24
_ACCENT = (36, 113, 178)
"""Color of the region weights, which is seen on a light and on a dark page."""


def stack_paths(shares: NDArray[np.float64], order: Sequence[int]) -> list[tuple[int, str]]:
    """Return areas that lie on each other, [(class, path)], to be painted in this order.

    Args:
        shares: [columns, classes]; the sum of a column is 1 or less.
        order: classes from the bottom up.

    Returns:
        From the top down: each path goes from the bottom of the box up to the upper end of its class, and the
        next one covers what is below. Classes that never show are left out.
    """
    levels = np.rint(np.cumsum(shares[:, order], axis=1) * HEIGHT).astype(int)
    paths = []
    for place in range(len(order) - 1, -1, -1):
        below = levels[:, place - 1] if place else 0
        if (levels[:, place] > below).any():
            paths.append((order[place], _area(levels[:, place].tolist())))
    return paths


def line_path(values: NDArray[np.float64], seen: NDArray[np.bool_]) -> str:
    """Return the area below values [columns] from 0 to 1, with holes where the face is not seen."""
    levels = np.rint(np.clip(values, 0, 1) * HEIGHT).astype(int).tolist()
    return "".join(_area(levels[low:high], low) for low, high, shown in _runs(seen.tolist()) if shown)


def seen_path(seen: NDArray[np.bool_]) -> str:
    """Return the columns in which the face is seen, over the whole height."""
    return "".join(
        f"M{low} 0h{high - low}v{HEIGHT}h{low - high}z" for low, high, shown in _runs(seen.tolist()) if shown
    )


def label_runs(labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return runs of columns with the same label, [(first, end, label)]; -1 is no label and left out."""
    return [(low, high, label) for low, high, label in _runs(labels) if label >= 0]


def run_paths(runs: Iterable[tuple[float, float, int]]) -> list[tuple[int, str]]:
    """Return one path for every label, of the runs [(first, end, label)] on the whole height."""
    paths: dict[int, list[str]] = {}
    for low, high, label in runs:
        paths.setdefault(label, []).append(f"M{low:g} 0H{high:g}V{HEIGHT}H{low:g}z")
    return [(label, "".join(paths[label])) for label in sorted(paths)]


def weights_image(weights: NDArray[np.float64], seen: NDArray[np.bool_], largest: float) -> str:
    """Return weights [columns, regions] as a PNG data URI of one pixel each: the more, the more opaque."""
    levels = np.rint(np.clip(weights / largest, 0, 1) * (_PALETTE_STEPS - 1)).astype(np.uint8)
    levels[~seen] = 0
    image = Image.fromarray(np.ascontiguousarray(levels.T), "P")
    image.putpalette(_ACCENT * _PALETTE_STEPS)
    opacity = bytes(round(255 * step / (_PALETTE_STEPS - 1)) for step in range(_PALETTE_STEPS))
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=opacity, optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def packed(values: NDArray[np.float64]) -> str:
    """Return shares [columns, values] as bytes in base64, 255 for 1, for the page's script."""
    return base64.b64encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def _area(levels: Sequence[int], first: int = 0) -> str:
    parts = [f"M{first} {HEIGHT}"]
    before = 0
    for low, high, level in _runs(levels):
        if level != before:
            parts.append(f"v{before - level}")
        parts.append(f"h{high - low}")
        before = level
    return "".join(parts) + f"V{HEIGHT}z"


def _runs(values: Sequence[int] | Sequence[bool]) -> Iterator[tuple[int, int, int]]:
    low = 0
    for value, group in groupby(values):
        high = low + sum(1 for _ in group)
        yield low, high, int(value)
        low = high
