"""Decoder of undamaged JPEG files: libjpeg-turbo, which writes RGB where it is wanted.

Pillow's decoder is the same library, but its pixels have four bytes and go through two more copies.
"""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from lnlattennet.images.containers._base import Container

_COLORS = {"YCbCr", "Gray", "RGB"}
"""Kinds of pixels that the library turns into RGB as Pillow does; four inks it leaves as they are."""


def decode_undamaged(container: Container, scale: int) -> NDArray[np.uint8] | None:
    """Decode a JPEG file at its size divided by ``scale``, 1, 2, 4 or 8, rounded up.

    Returns:
        RGB, uint8 [H, W, 3], not turned upright; None of a file that is damaged in any way, has four
        channels, or declares another size to the library.
    """
    size = (container.height, container.width)
    height, width = (-(-side // scale) for side in size)
    try:
        *declared, colors, _ = simplejpeg.decode_jpeg_header(container.pixels)
        if tuple(declared) != size or colors not in _COLORS:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            container.pixels, min_height=height, min_width=width
        )
    # What the library would only warn of is an error here, too: Pillow's reader decides on such files.
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, 3) else None
