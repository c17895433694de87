"""Pixels of a decoded image, turned upright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_STRIP = 1 << 19
"""Bytes of the pixels that are converted at once: the time of a 1080p frame halves from 128 kB to here."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation of EXIF -> how Pillow turns such an image upright; 1 is upright."""

_FIRST_ROW_LAST = {3, 4, 6, 7}
"""Orientations by which the first row of a file becomes the last row or column."""


def upright(image: Image.Image | NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Return an image as RGB, uint8 [H, W, 3], turned by its orientation, 1 to 8.

    Args:
        image: loaded Pillow image, or RGB pixels [H, W, 3], which are returned as they are if upright.
        turn: orientation of EXIF.
    """
    if isinstance(image, np.ndarray) and turn not in TURNS:
        return image
    columns, lines = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    rows = max(1, _STRIP // (3 * columns))
    if 2 * rows >= lines:
        return np.array(_turned(image, 0, lines, turn))
    pixels = np.empty((*((columns, lines) if turn >= 5 else (lines, columns)), 3), np.uint8)
    # Pillow would hold three copies of the whole at once.
    for top in range(0, lines, rows):
        bottom = min(top + rows, lines)
        strip = np.asarray(_turned(image, top, bottom, turn))
        first = lines - bottom if turn in _FIRST_ROW_LAST else top
        place = slice(first, first + bottom - top)
        pixels[(slice(None), place) if turn >= 5 else place] = strip
    return pixels


def _turned(image: Image.Image | NDArray[np.uint8], top: int, bottom: int, turn: int) -> Image.Image:
    """Return the rows from ``top`` to ``bottom`` as RGB, turned upright."""
    if isinstance(image, np.ndarray):
        strip = Image.fromarray(image[top:bottom])
    else:
        strip = image.crop((0, top, image.width, bottom))
    rgb = strip if strip.mode == "RGB" else strip.convert("RGB")
    return rgb.transpose(TURNS[turn]) if turn in TURNS else rgb
