"""Photographs of the sizes that users send, made from scikit-image's public-domain portrait."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lnlattennet.benchmarks.harness._jpeg import jpeg
from lnlattennet.errors import require

_FACE = (160, 40, 288, 208)
"""Left, top, right and bottom of the face, with some margin, in the portrait of 512 pixels."""


def photographs() -> dict[str, bytes]:
    """Return name -> JPEG file: a face crop, a portrait, a video frame and a camera's image.

    Raises:
        UnavailableError: scikit-image is not installed.
    """
    portrait = Image.fromarray(require("skimage.data", "dev").astronaut())
    return {
        "crop 112": jpeg(portrait.crop(_FACE).resize((112, 112), Image.Resampling.LANCZOS)),
        "512": jpeg(portrait),
        "1080p": jpeg(_in_frame(portrait, 1920, 1080)),
        "24 MP": jpeg(_in_frame(portrait, 6000, 4000)),
    }


def _in_frame(portrait: Image.Image, width: int, height: int) -> Image.Image:
    """Put the portrait into the middle of a frame of soft colors, as high as the frame."""
    rows, columns = np.linspace(60, 160, height)[:, None], np.linspace(40, 120, width)[None]
    frame = Image.fromarray(
        np.stack([rows + columns, rows + 0 * columns, columns + 0 * rows], -1).astype(np.uint8)
    )
    frame.paste(portrait.resize((height, height), Image.Resampling.LANCZOS), ((width - height) // 2, 0))
    return frame
