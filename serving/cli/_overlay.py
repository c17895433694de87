"""Region weights made visible: a small table for terminals, a tinted picture for files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.color import Color
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.images._decode import MAX_PIXELS

_Rgb = tuple[int, int, int]
_Corners = tuple[int, int, int, int]

_INK: _Rgb = (18, 16, 26)
_PAPER: _Rgb = (250, 250, 250)
_QUIET: _Rgb = (176, 174, 188)

_SHORTEST_SIDE = 480
"""A smaller picture is enlarged to this many pixels, or its caption would not fit."""

_NUMBER_CELL = 38
"""A cell narrower than this many pixels has no room for a number."""

_LONGEST_SIDE = 2000
"""No picture is enlarged beyond this many pixels to make room for numbers."""

_FAINTEST, _STRONGEST = 0.15, 0.55
"""Opacity of the tint for a weight of 0 and for the largest one."""


def weight_table(weights: list[list[float]]) -> Table:
    """Return g x g region weights as a table: numbers for every terminal, colours where there are any."""
    table = Table.grid()
    peak = max(map(max, weights))
    for row in weights:
        table.add_row(*(_table_cell(weight, peak) for weight in row))
    return table


def _table_cell(weight: float, peak: float) -> Text:
    color = _color(weight / peak)
    style = Style(color=Color.from_rgb(*_contrast(color)), bgcolor=Color.from_rgb(*color))
    # The star finds the largest weight where there are no colours.
    return Text(f" {weight:.3f}{'*' if weight == peak else ' '}", style)


def draw_overlay(picture: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """Draw the crop, its regions tinted by weight, and a caption below.

    Args:
        picture: the upright RGB picture that was predicted, [H, W, 3].
        prediction: its prediction; ``face_box`` is in pixels of ``picture``.

    Returns:
        An RGB picture; larger than the input by the caption, and enlarged if the input is small.
    """
    height, width = picture.shape[:2]
    scale = _enlargement(height, width, prediction)
    size = (round(width * scale), round(height * scale))
    drawn = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    _tint_regions(drawn, prediction, scale)
    return np.asarray(_with_caption(drawn, prediction))


def _enlargement(height: int, width: int, prediction: Prediction) -> float:
    left, _, right, _ = prediction.face_box
    for_caption = _SHORTEST_SIDE / min(height, width)
    # Corners are rounded to whole pixels, which may take two from a cell.
    for_numbers = (_NUMBER_CELL + 2) * len(prediction.region_weights) / (right - left)
    wanted = max(for_caption, min(for_numbers, _LONGEST_SIDE / max(height, width)))
    # A strip of 16 pixels by a million would grow to 14 gigapixels for its caption.
    return max(1.0, min(wanted, math.sqrt(MAX_PIXELS / (height * width))))


def _tint_regions(picture: Image.Image, prediction: Prediction, scale: float) -> None:
    draw = ImageDraw.Draw(picture, "RGBA")
    peak = max(map(max, prediction.region_weights))
    line = max(1, round(min(picture.size) / 400))
    cells = list(_cells(prediction, scale))
    for weight, cell in cells:
        share = weight / peak
        opacity = _FAINTEST + (_STRONGEST - _FAINTEST) * share
        draw.rectangle(cell, fill=(*_color(share), round(255 * opacity)), outline=(*_PAPER, 70), width=1)
    for weight, cell in cells:
        _draw_number(draw, weight, cell)
    (_, first), (_, last) = cells[0], cells[-1]
    frame = (first[0] - line, first[1] - line, last[2] + line, last[3] + line)
    draw.rectangle(frame, outline=_PAPER, width=2 * line)


def _cells(prediction: Prediction, scale: float) -> Iterator[tuple[float, _Corners]]:
    """Yield each region's weight and its pixels (both corners included), row by row."""
    weights = prediction.region_weights
    left, top, right, bottom = (scale * value for value in prediction.face_box)
    columns = np.linspace(left, right, len(weights) + 1).round().astype(int).tolist()
    rows = np.linspace(top, bottom, len(weights) + 1).round().astype(int).tolist()
    for row, (y, y_end) in zip(weights, itertools.pairwise(rows), strict=True):
        for weight, (x, x_end) in zip(row, itertools.pairwise(columns), strict=True):
            yield weight, (x, y, x_end - 1, y_end - 1)


def _draw_number(draw: ImageDraw.ImageDraw, weight: float, cell: _Corners) -> None:
    left, top, right, bottom = cell
    side = right - left
    if side < _NUMBER_CELL:
        return
    font = ImageFont.load_default(max(12, side / 5))
    center = ((left + right) / 2, (top + bottom) / 2)
    outline = max(1, round(side / 50))
    text = f"{weight:.3f}".lstrip("0")
    draw.text(center, text, _PAPER, font, "mm", stroke_width=outline, stroke_fill=(*_INK, 200))


def _with_caption(picture: Image.Image, prediction: Prediction) -> Image.Image:
    em = round(max(24, min(picture.size) / 18))
    margin, top = round(0.6 * em), picture.height + round(0.45 * em)
    whole = Image.new("RGB", (picture.width, picture.height + round(3.1 * em)), _INK)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    title = f"{prediction.label}  {prediction.probabilities[prediction.label]:.0%}"
    _draw_fitting(draw, title, (margin, top), 1.1 * em, _PAPER)
    second_line = top + round(1.55 * em)
    where = "face found" if prediction.face_found else "no face found: centre square"
    draw.text((margin, second_line), where, _QUIET, ImageFont.load_default(0.6 * em))
    _draw_legend(whole, prediction, (whole.width - margin, second_line), 0.6 * em)
    return whole


def _draw_legend(picture: Image.Image, prediction: Prediction, corner: tuple[int, int], size: float) -> None:
    """Draw the colours with the largest weight beside them, ending at the upper right ``corner``."""
    right, top = corner
    font = ImageFont.load_default(size)
    text = f"weight 0 to {max(map(max, prediction.region_weights)):.3f}"
    draw = ImageDraw.Draw(picture)
    draw.text((right, top), text, _QUIET, font, "ra")
    ramp = Image.new("RGB", (256, 1))
    ramp.putdata([_color(value / 255) for value in range(256)])
    width, height = round(4 * size), round(0.8 * size)
    left = right - round(draw.textlength(text, font) + 0.6 * size) - width
    picture.paste(ramp.resize((width, height)), (left, top + round(0.1 * size)))


def _draw_fitting(
    draw: ImageDraw.ImageDraw, text: str, position: tuple[float, float], size: float, color: _Rgb
) -> None:
    """Write ``text``, smaller if the picture is too narrow for it."""
    room = draw.im.size[0] - 2 * position[0]
    width = draw.textlength(text, ImageFont.load_default(size))
    font = ImageFont.load_default(min(size, size * room / width))
    draw.text(position, text, color, font)


def _color(share: float) -> _Rgb:
    """Map 0..1 to a colour from dark violet over green to bright yellow."""
    value = np.full((1, 1), round(255 * share), np.uint8)
    blue, green, red = cv2.applyColorMap(value, cv2.COLORMAP_VIRIDIS)[0, 0].tolist()
    return (red, green, blue)


def _contrast(background: _Rgb) -> _Rgb:
    red, green, blue = background
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else _PAPER
