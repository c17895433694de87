"""JPEG files as benchmarks send them."""

from __future__ import annotations

import io

from PIL import Image

_QUALITY = 90


def jpeg(image: Image.Image) -> bytes:
    """Return an image as a JPEG file of quality 90."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
