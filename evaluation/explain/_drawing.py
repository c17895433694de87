"""Drawing with matplotlib: faces with their grid, heat maps with numbers, color bars, files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from lnlattennet._atomic import replace_file
from lnlattennet.images._fonts import drawable, font_file, text_font

Values = NDArray[np.floating[Any]]
Face = NDArray[np.uint8] | NDArray[np.floating[Any]]
"""RGB [S, S, 3] in 0..255."""

WEIGHT_COLORS = "viridis"
"""Regions: even steps of value are even steps of lightness, also for color-blind readers and in print."""
ATTENTION_COLORS = "magma"
INK = "#1b1a22"
QUIET = "#6b6a75"
MARK = "#ff4f3a"

_DPI = 100
_OPACITY = 0.6
_BRIGHT = 0.62
"""Share of the scale above which dark numbers are more legible than white ones."""
_SMALLEST_NUMBER = 5.0
"""Smallest font size in points; numbers that need a smaller one are only in the JSON."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which draws without a display."""
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")


def image_of(figure: Figure) -> Image.Image:
    """Draw a figure to RGB pixels."""
    pixels = io.BytesIO()
    with _fonts_for_all_names(figure):
        figure.savefig(pixels, format="rgba")
    size = figure.canvas.get_width_height()
    return Image.frombytes("RGBA", size, pixels.getvalue()).convert("RGB")


def save_png(figure: Figure, path: Path) -> None:
    """Write ``path`` whole or not at all."""
    with replace_file(path) as draft, _fonts_for_all_names(figure):
        figure.savefig(draft, format="png")


@contextmanager
def _fonts_for_all_names(figure: Figure) -> Iterator[None]:
    """Draw every text in a font that has its characters (``images._fonts``), without warnings."""
    for text in figure.findobj(Text):
        _set_font(text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def _set_font(text: Text) -> None:
    content = text.get_text()
    path = None if content.isascii() else font_file(content)
    if path is None:
        return
    properties = text.get_fontproperties().copy()
    properties.set_file(path)
    text.set_fontproperties(properties)
    text.set_text(drawable(content, text_font(content, properties.get_size_in_points())))


def bare(axes: Axes, title: str = "") -> None:
    """Remove ticks and frame, and set the title."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title, fontsize=9, color=INK)


def draw_face(axes: Axes, face: Face, grid: int) -> None:
    """Show a face, with thin lines between its regions."""
    axes.imshow(face.round().astype(np.uint8), extent=(0, grid, grid, 0))
    draw_grid(axes, grid)


def draw_gray(axes: Axes, face: Face, grid: int) -> None:
    """Show a face in gray, as the ground of a map."""
    axes.imshow(face.mean(axis=2), cmap="gray", vmin=0, vmax=255, extent=(0, grid, grid, 0))


class RegionMap:
    """Map of one value per region [K], as colors on the scale 0..``top`` and as numbers.

    Args:
        axes: axes to draw on; they become grid x grid units large.
        values: [K].
        grid: regions per side.
        top: value of the brightest color.
        face: shown in gray below the colors; None for colors alone.
    """

    def __init__(self, axes: Axes, values: Values, grid: int, top: float, face: Face | None = None) -> None:
        if face is not None:
            draw_gray(axes, face, grid)
        self._grid = grid
        self._top = top
        self._image = axes.imshow(
            values.reshape(grid, grid),
            cmap=WEIGHT_COLORS,
            vmin=0,
            vmax=top,
            extent=(0, grid, grid, 0),
            interpolation="nearest",
            alpha=1.0 if face is None else _OPACITY,
        )
        draw_grid(axes, grid)
        self._numbers = _numbers(axes, grid)
        self.update(values)

    def update(self, values: Values) -> None:
        """Show other values on the same scale."""
        self._image.set_data(values.reshape(self._grid, self._grid))
        for text, value in zip(self._numbers, values.tolist(), strict=False):
            text.set_text(f"{value:.3f}".removeprefix("0"))
            text.set_color(INK if value > _BRIGHT * self._top else "white")


def mark_region(axes: Axes, region: int, grid: int) -> None:
    """Draw a frame around one region."""
    row, column = divmod(region, grid)
    frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=MARK, linewidth=2.2, clip_on=False, zorder=5)
    axes.add_patch(frame)


def color_bar(axes: Sequence[Axes], label: str, top: float, colors: str, rows: int = 1) -> None:
    """Add the scale 0..``top`` below ``axes``, which have ``rows`` rows."""
    scale = ScalarMappable(Normalize(0, top), colors)
    bar = axes[0].figure.colorbar(
        scale, ax=list(axes), location="bottom", shrink=0.96, fraction=0.05 / rows, pad=0.02 / rows, aspect=24
    )
    bar.set_label(label, fontsize=8, color=QUIET)
    bar.ax.tick_params(labelsize=7, colors=QUIET, length=2)
    bar.ax.locator_params(nbins=5)
    bar.outline.set_visible(False)


def draw_grid(axes: Axes, grid: int) -> None:
    """Draw thin lines between the regions."""
    for edge in range(1, grid):
        axes.axhline(edge, color="white", linewidth=0.6, alpha=0.55)
        axes.axvline(edge, color="white", linewidth=0.6, alpha=0.55)
    axes.set_xlim(0, grid)
    axes.set_ylim(grid, 0)


def _numbers(axes: Axes, grid: int) -> list[Text]:
    """Place an empty text in every region, or none where a region is too small for a number."""
    # Width in points before the layout, which changes it little.
    width = axes.get_window_extent().width * 72 / _DPI
    size = min(10.0, width / grid / 3.9)
    if size < _SMALLEST_NUMBER:
        return []
    centers = [(region % grid + 0.5, region // grid + 0.5) for region in range(grid * grid)]
    return [axes.text(x, y, "", ha="center", va="center", fontsize=size) for x, y in centers]
