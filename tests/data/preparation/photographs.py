"""Photographs to try: rendered faces pasted on backgrounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.data.synthetic import EXPRESSIONS, render_face

CORNERS = ((30, 40), (250, 90), (140, 20))


def face(seed: int, side: int = 130) -> NDArray[np.uint8]:
    """A rendered face crop."""
    return np.asarray(render_face(seed, EXPRESSIONS[seed % 7], size=side, with_regions=False).image)


def photograph(*seeds: int) -> NDArray[np.uint8]:
    """An image of 420 x 260 pixels with up to three faces; the first is the largest."""
    rows, columns = np.mgrid[:260, :420]
    image: NDArray[np.uint8] = np.stack([90 + rows / 4, 120 + columns / 8, 140 - rows / 5], axis=-1).astype(
        np.uint8
    )
    for order, (seed, (x, y)) in enumerate(zip(seeds, CORNERS, strict=False)):
        side = 130 - 20 * order
        image[y : y + side, x : x + side] = face(seed, side)
    return image


def write(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def build_jaffe(folder: Path) -> None:
    """Two people with every expression, and one photograph of nobody, named as JAFFE names its images."""
    for person, name in enumerate(("KA", "KL")):
        for index, code in enumerate(("AN", "DI", "FE", "HA", "NE", "SA", "SU")):
            image = photograph() if (name, code) == ("KL", "SU") else photograph(15 + 7 * person + index)
            write(folder / f"{name}.{code}1.{index + 1}.png", image)
