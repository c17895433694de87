"""Histogram equalization, which some copies of data sets went through and photographs do not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 6.0
"""Gray levels. Of FERPlus's 35,710 images 0.2% are below; of an equalized copy of the same faces, 80%."""

_EVEN = np.arange(1, 257) / 256


def is_equalized(image: NDArray[np.uint8]) -> bool:
    """Return whether an RGB image [H, W, 3] has about as many pixels of every gray level.

    Equalization makes the share of pixels up to a level grow evenly with the level. The area between the two
    is the mean number of gray levels by which pixels miss an even spread (the Wasserstein distance). It stays
    small when the image is resized or compressed as JPEG, which fills the empty levels of an equalized image.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel()
    share = np.cumsum(counts, dtype=np.float64) / gray.size
    return bool(np.abs(share - _EVEN).sum() < MAX_DISTANCE)
