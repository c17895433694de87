"""Files to read: made by rule, with about the detail of a camera's photographs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_SAMPLE_NOISE = 4.0
"""Standard deviation of the noise of each pixel: a JPEG file of quality 90 gets about 2 bits per pixel."""


@dataclass(frozen=True)
class Photograph:
    """A kind of file.

    Attributes:
        width: columns in pixels.
        height: rows in pixels.
        format: Pillow's name of the format.
        options: Pillow's options for saving.
    """

    width: int
    height: int
    format: str
    options: Mapping[str, Any]

    def encode(self) -> bytes:
        """Return the file."""
        rng = np.random.default_rng(0)
        shapes = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
        smooth = np.asarray(shapes.resize((self.width, self.height), Image.Resampling.BICUBIC), np.int16)
        noise = (_SAMPLE_NOISE * rng.standard_normal((self.height, self.width, 1), np.float32)).astype(
            np.int8
        )
        stream = io.BytesIO()
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(
            stream, self.format, **self.options
        )
        return stream.getvalue()


_JPEG = {"quality": 90}
PHOTOGRAPHS = {
    "512 x 512 JPEG": Photograph(512, 512, "JPEG", _JPEG),
    "1920 x 1080 JPEG": Photograph(1920, 1080, "JPEG", _JPEG),
    "1920 x 1080 PNG": Photograph(1920, 1080, "PNG", {}),
    "12-megapixel JPEG": Photograph(4032, 3024, "JPEG", _JPEG),
    "50-megapixel JPEG": Photograph(8192, 6144, "JPEG", _JPEG),
    "50-megapixel progressive JPEG": Photograph(8192, 6144, "JPEG", _JPEG | {"progressive": True}),
}
