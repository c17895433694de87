"""A small valid image, for requests that need any."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image


@cache
def blank_png() -> bytes:
    """Return a gray PNG file of 32 x 32 pixels."""
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(stream, "PNG")
    return stream.getvalue()
