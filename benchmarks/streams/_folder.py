"""Folder of photographs that all differ, made from scikit-image's public-domain portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from lnlattennet.errors import require

_SIDE, _QUALITY = 512, 90


def write_photographs(folder: Path, count: int) -> None:
    """Write JPEG files of 512 pixels: the portrait moved, scaled, mirrored, brighter or darker.

    Args:
        folder: made if needed.
        count: number of files; the first ones are always the same.

    Raises:
        UnavailableError: scikit-image is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    portrait = Image.fromarray(require("skimage.data", "dev").astronaut())
    generator = np.random.default_rng(0)
    for number in range(count):
        _varied(portrait, generator).save(folder / f"{number:05}.jpg", quality=_QUALITY)


def _varied(portrait: Image.Image, generator: np.random.Generator) -> Image.Image:
    step = 1 / generator.uniform(0.8, 1.2)
    right, down = generator.uniform(-0.1, 0.1, 2) * _SIDE
    image = portrait.transform(
        (_SIDE, _SIDE), Image.Transform.AFFINE, (step, 0, right, 0, step, down / 3), Image.Resampling.BICUBIC
    )
    if generator.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ImageEnhance.Brightness(image).enhance(generator.uniform(0.7, 1.3))
