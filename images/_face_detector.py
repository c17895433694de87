"""Detector of the largest face, with OpenCV's Haar cascade; without a face, the center of the image."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from lnlattennet.model._preprocessing import Box, center_square, square_box

# Of OpenCV's frontal cascades, alt2 found most of 150 jittered portraits (148) and nothing in 126 faceless
# images; `default` found 132 to 147 and had up to 10 false positives.
_CASCADE = "haarcascade_frontalface_alt2.xml"
_MIN_NEIGHBORS = 3


@dataclass(frozen=True)
class _Search:
    """One pass over an image scaled to ``long_side``; faces are ``smallest`` to ``largest`` pixels there."""

    long_side: int
    smallest: int
    largest: int
    scale_step: float


# The first pass finds faces from 1/6 of the image up in a third of the second's time, which adds those
# down to 1/14. An image smaller than `long_side` is searched as it is. OpenCV's thread pool changes neither
# the wall nor the processor time of such small searches, so its process-wide setting is left alone.
_SEARCHES = (_Search(128, 22, 128, 1.1), _Search(320, 22, 64, 1.15))


@dataclass(frozen=True)
class FaceLocation:
    """The square to crop.

    Attributes:
        box: its corners in pixels, inside the image.
        found: whether a face was found there; otherwise it is the center square.
    """

    box: Box
    found: bool


class FaceFinder:
    """Finds the largest frontal face; one finder may be used by many threads.

    Args:
        margin: share of the found box that is added on each side.
    """

    def __init__(self, margin: float) -> None:
        self._margin = margin
        # A cascade keeps the image it works on, so each thread has its own.
        self._local = threading.local()

    def __call__(self, image: NDArray[np.uint8]) -> FaceLocation:
        """Locate the largest face in an RGB image [H, W, 3]."""
        height, width = image.shape[:2]
        # Averaging megapixels costs 50 ms; every n-th pixel still leaves more than the finest search uses.
        step = max(1, max(height, width) // (2 * _SEARCHES[-1].long_side))
        gray = cv2.cvtColor(image[::step, ::step], cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        for search in _SEARCHES:
            face = self._largest_face(gray, search)
            if face is not None:
                left, top, right, bottom = (step * value for value in face)
                box = square_box((left, top, right, bottom), self._margin, width, height)
                return FaceLocation(box, found=True)
        return FaceLocation(center_square(width, height), found=False)

    def _largest_face(self, gray: NDArray[np.uint8], search: _Search) -> Box | None:
        height, width = gray.shape
        scale = min(1.0, search.long_side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        faces = self._cascade().detectMultiScale(
            cv2.resize(gray, size, interpolation=cv2.INTER_AREA),
            scaleFactor=search.scale_step,
            minNeighbors=_MIN_NEIGHBORS,
            minSize=(search.smallest, search.smallest),
            maxSize=(search.largest, search.largest),
        )
        if len(faces) == 0:
            return None
        x, y, w, h = (float(value) / scale for value in max(faces, key=lambda face: face[2] * face[3]))
        return (x, y, x + w, y + h)

    def _cascade(self) -> Any:
        if not hasattr(self._local, "cascade"):
            self._local.cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades, _CASCADE)))
        return self._local.cascade
