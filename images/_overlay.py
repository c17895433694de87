"""Drawing of region weights over the faces in an image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lnlattennet.images._decode import MAX_PIXELS
from lnlattennet.images._fonts import drawable, text_font
from lnlattennet.model._preprocessing import Box

_Rgb = tuple[int, int, int]
_Weights = Sequence[Sequence[float]]
_Corners = tuple[int, int, int, int]

_INK: _Rgb = (18, 16, 26)
_PAPER: _Rgb = (250, 250, 250)
_QUIET: _Rgb = (176, 174, 188)

_SHORTEST_SIDE = 480
"""A smaller image is enlarged to this many pixels, or its caption would not fit."""

_NUMBER_CELL = 38
"""Minimum width in pixels of a cell with a number."""

_LONGEST_SIDE = 2000
"""Maximum side in pixels to which an image is enlarged so that numbers fit."""

_FAINTEST, _STRONGEST = 0.15, 0.55
"""Opacity of the tint for a weight of 0 and for the largest one."""


@dataclass(frozen=True)
class DrawnFace:
    """Face to draw.

    Attributes:
        weights: weight of each region, g rows of g.
        box: the crop in pixels of the image.
        label: text above its frame, or "".
    """

    weights: _Weights
    box: Box
    label: str = ""


def draw_overlay(
    image: NDArray[np.uint8], faces: Sequence[DrawnFace], title: str, note: str
) -> NDArray[np.uint8]:
    """Draw each crop, its regions tinted by weight, and a caption below.

    Args:
        image: upright RGB, [H, W, 3].
        faces: at least one, the largest first; the others are drawn over it. They share the scale of colors.
        title: first line of the caption.
        note: its second line.

    Returns:
        An RGB image; larger than the input by the caption, and enlarged if the input is small.
    """
    height, width = image.shape[:2]
    left, _, right, _ = faces[0].box
    scale = _enlargement(height, width, (right - left) / len(faces[0].weights))
    size = (round(width * scale), round(height * scale))
    canvas = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    peak = _draw_faces(canvas, faces, scale)
    return np.asarray(_with_caption(canvas, title, note, peak))


def draw_faces(image: NDArray[np.uint8], faces: Sequence[DrawnFace]) -> NDArray[np.uint8]:
    """Draw as ``draw_overlay`` does, without a caption and at the image's own size: a frame of a video.

    Args:
        image: upright RGB, [H, W, 3].
        faces: the largest first; none leaves the image as it is.
    """
    if not faces:
        return image
    canvas = Image.fromarray(image)
    _draw_faces(canvas, faces, 1)
    return np.asarray(canvas)


def _draw_faces(canvas: Image.Image, faces: Sequence[DrawnFace], scale: float) -> float:
    """Draw faces on an image of ``scale`` times the size, and return their largest weight."""
    peak = max(max(map(max, face.weights)) for face in faces)
    for face in faces:
        _tint_regions(canvas, face.weights, [scale * value for value in face.box], peak)
    for face in faces:
        _draw_label(canvas, face.label, [scale * value for value in face.box])
    return peak


def _enlargement(height: int, width: int, cell: float) -> float:
    for_caption = _SHORTEST_SIDE / min(height, width)
    # Corners are rounded to whole pixels, which may take two from a cell.
    for_numbers = (_NUMBER_CELL + 2) / cell
    wanted = max(for_caption, min(for_numbers, _LONGEST_SIDE / max(height, width)))
    # A strip of 16 pixels by a million would grow to 14 gigapixels for its caption.
    return max(1.0, min(wanted, math.sqrt(MAX_PIXELS / (height * width))))


def _tint_regions(canvas: Image.Image, weights: _Weights, box: Sequence[float], peak: float) -> None:
    draw = ImageDraw.Draw(canvas, "RGBA")
    line = max(1, round(min(canvas.size) / 400))
    cells = list(_cells(weights, box))
    for weight, cell in cells:
        share = weight / peak
        opacity = _FAINTEST + (_STRONGEST - _FAINTEST) * share
        draw.rectangle(
            cell, fill=(*weight_color(share), round(255 * opacity)), outline=(*_PAPER, 70), width=1
        )
    for weight, cell in cells:
        _draw_number(draw, weight, cell)
    (_, first), (_, last) = cells[0], cells[-1]
    frame = (first[0] - line, first[1] - line, last[2] + line, last[3] + line)
    draw.rectangle(frame, outline=_PAPER, width=2 * line)


def _cells(weights: _Weights, box: Sequence[float]) -> Iterator[tuple[float, _Corners]]:
    """Yield each region's weight and its pixels (both corners included, at least one), row by row."""
    left, top, right, bottom = box
    columns = np.linspace(left, right, len(weights) + 1).round().astype(int).tolist()
    rows = np.linspace(top, bottom, len(weights) + 1).round().astype(int).tolist()
    for row, (y, y_end) in zip(weights, itertools.pairwise(rows), strict=True):
        for weight, (x, x_end) in zip(row, itertools.pairwise(columns), strict=True):
            yield weight, (x, y, max(x, x_end - 1), max(y, y_end - 1))


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


def _draw_label(canvas: Image.Image, label: str, box: Sequence[float]) -> None:
    """Write ``label`` on a dark strip above the frame, or inside it at the upper edge of the image."""
    if not label:
        return
    left, top, right, _ = box
    draw = ImageDraw.Draw(canvas, "RGBA")
    font = text_font(label, max(12, (right - left) / 9))
    label = drawable(label, font)
    _, _, width, height = draw.textbbox((0, 0), label, font, "la")
    corner = (max(0, min(left, canvas.width - width)), max(0, top - height))
    draw.rectangle(draw.textbbox(corner, label, font, "la"), fill=(*_INK, 200))
    draw.text(corner, label, _PAPER, font, "la")


def _with_caption(canvas: Image.Image, title: str, note: str, peak: float) -> Image.Image:
    em = round(max(24, min(canvas.size) / 18))
    margin, top = round(0.6 * em), canvas.height + round(0.45 * em)
    whole = Image.new("RGB", (canvas.width, canvas.height + round(3.1 * em)), _INK)
    whole.paste(canvas)
    draw = ImageDraw.Draw(whole)
    _draw_fitting(draw, title, (margin, top), 1.1 * em, _PAPER)
    second_line = top + round(1.55 * em)
    small = text_font(note, 0.6 * em)
    draw.text((margin, second_line), drawable(note, small), _QUIET, small)
    _draw_legend(whole, peak, (whole.width - margin, second_line), 0.6 * em)
    return whole


def _draw_legend(canvas: Image.Image, peak: float, corner: tuple[int, int], size: float) -> None:
    """Draw the colors with the largest weight beside them, ending at the upper right ``corner``."""
    right, top = corner
    font = ImageFont.load_default(size)
    text = f"weight 0 to {peak:.3f}"
    draw = ImageDraw.Draw(canvas)
    draw.text((right, top), text, _QUIET, font, "ra")
    ramp = Image.new("RGB", (256, 1))
    ramp.putdata([weight_color(value / 255) for value in range(256)])
    width, height = round(4 * size), round(0.8 * size)
    left = right - round(draw.textlength(text, font) + 0.6 * size) - width
    canvas.paste(ramp.resize((width, height)), (left, top + round(0.1 * size)))


def _draw_fitting(
    draw: ImageDraw.ImageDraw, text: str, position: tuple[float, float], size: float, color: _Rgb
) -> None:
    """Write ``text``, smaller if the image is too narrow for it."""
    available = draw.im.size[0] - 2 * position[0]
    font = text_font(text, size)
    text = drawable(text, font)
    width = draw.textlength(text, font)
    draw.text(position, text, color, text_font(text, size * available / width) if width > available else font)


def weight_color(share: float) -> _Rgb:
    """Map 0..1 to a color from dark violet over green to bright yellow."""
    value = np.full((1, 1), round(255 * share), np.uint8)
    blue, green, red = cv2.applyColorMap(value, cv2.COLORMAP_VIRIDIS)[0, 0].tolist()
    return (red, green, blue)


def text_color(background: _Rgb) -> _Rgb:
    """Return a light or dark color that is readable on ``background``."""
    red, green, blue = background
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else _PAPER
