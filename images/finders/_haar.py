"""OpenCV's Haar cascade of frontal faces: fast, in every installation, and for upright faces only."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UnavailableError
from lnlattennet.images.finders._base import FaceFinder, FinderInfo, FoundFace, merge_passes

INFO = FinderInfo(
    name="haar",
    summary="OpenCV's Haar cascade of upright frontal faces (alt2)",
    package="opencv-python-headless",
    extra=None,
    code_license="Apache-2.0",
    weights_license="Intel License Agreement (BSD-like), in the cascade's file",
    training_data="not published",
    has_landmarks=False,
    sure_score=0.0,
    smallest_face=22 / 320,
)

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


def version() -> str:
    """Return OpenCV's version, which brings the cascade's file and decides how windows are grouped."""
    return str(cv2.__version__)


def create() -> FaceFinder:
    """Load the cascade.

    Raises:
        UnavailableError: OpenCV's installation lacks its file, or the file is damaged.
    """
    return _HaarFinder()


class _HaarFinder:
    """Finds upright frontal faces; one finder may be used by many threads."""

    def __init__(self) -> None:
        # A cascade keeps the image it works on, so each thread has its own.
        self._local = threading.local()
        self._cascade()

    def __call__(
        self, image: NDArray[np.uint8], *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        height, width = image.shape[:2]
        # Averaging megapixels costs 50 ms; every n-th pixel still leaves more than the finest search uses.
        step = max(1, max(height, width) // (2 * _SEARCHES[-1].long_side))
        # Whole rows go to OpenCV without a copy; to pick their pixels first would take three times as long.
        gray = cv2.cvtColor(image[::step], cv2.COLOR_RGB2GRAY)[:, ::step].astype(np.uint8, copy=False)
        faces: list[FoundFace] = []
        for search in _SEARCHES:
            if all_sizes or not faces:
                faces = merge_passes(faces, self._search(gray, search, step), INFO.sure_score)
        return faces

    def _search(self, gray: NDArray[np.uint8], search: _Search, step: int) -> list[FoundFace]:
        height, width = gray.shape
        scale = min(1.0, search.long_side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        corners, neighbors = self._cascade().detectMultiScale2(
            cv2.resize(gray, size, interpolation=cv2.INTER_AREA),
            scaleFactor=search.scale_step,
            minNeighbors=_MIN_NEIGHBORS,
            minSize=(search.smallest, search.smallest),
            maxSize=(search.largest, search.largest),
        )
        faces = []
        for corner, count in zip(corners, neighbors, strict=True):
            x, y, w, h = (float(value) / scale for value in corner)
            left, top, right, bottom = (step * value for value in (x, y, x + w, y + h))
            faces.append(FoundFace((left, top, right, bottom), _score(int(count))))
        return faces

    def _cascade(self) -> Any:
        if not hasattr(self._local, "cascade"):
            self._local.cascade = _load(Path(cv2.data.haarcascades, _CASCADE))
        return self._local.cascade


def _load(path: Path) -> Any:
    try:
        cascade = cv2.CascadeClassifier(str(path))
    # OpenCV's own error in a damaged file leaves its constructor as Python's SystemError.
    except (cv2.error, SystemError):
        cascade = None
    # Of a missing file OpenCV makes a cascade that is empty, and fails at the first search.
    if cascade is None or cascade.empty():
        raise UnavailableError(
            f"the face finder {INFO.name} needs OpenCV's file {path}, which is missing or damaged: "
            f"pip install --force-reinstall --no-deps '{INFO.package}<5'"
        )
    return cascade


def _score(neighbors: int) -> float:
    """Map the number of overlapping windows that saw the face to 0.5 (the fewest that count) and up, below 1.

    A cascade has no probability. detectMultiScale3's level weights would need another search, whose boxes
    differ: it also groups windows that the last stages refused.
    """
    return neighbors / (neighbors + _MIN_NEIGHBORS)
