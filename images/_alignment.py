"""Alignment of a face by five landmarks: the turned square that the network sees upright.

The template is the usual one of face recognition, five points in a crop of 112 pixels:
https://github.com/deepinsight/insightface/blob/master/python-package/insightface/utils/face_align.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.images.finders._base import Point
from lnlattennet.model._preprocessing import Box, Preprocessing, square_box

_TEMPLATE = np.array(
    [[0.3332, 0.3783], [0.6552, 0.3765], [0.4952, 0.5614], [0.3629, 0.7500], [0.6296, 0.7485]]
)
"""Places of the landmarks in a crop without margin, as shares of its side.

They are the usual points, enlarged by 1.024 and moved to where libfacedetection's box, squared, has them in
140 portraits (each within 2% of the side), so that aligned and plain crops of a face show the same region.
"""


@dataclass(frozen=True)
class TurnedSquare:
    """Square to crop: center and side in pixels of the image, and the angle by which the face is turned.

    A positive ``angle``, in radians, is a face whose right side (of the image) is lower.
    """

    center: Point
    side: float
    angle: float

    def box(self, width: int, height: int) -> Box:
        """Return the upright square of the same center and side, moved into a width x height image."""
        (x, y), half = self.center, self.side / 2
        return square_box((x - half, y - half, x + half, y + half), 0, width, height)


def align(landmarks: Sequence[Point], margin: float) -> TurnedSquare:
    """Return the square that puts five landmarks closest to the template.

    Args:
        landmarks: as ``FoundFace`` orders them, in pixels.
        margin: fraction of the square's side, without margin, that is added on each side.
    """
    points = np.array(landmarks) @ [1, 1j]
    template = (_TEMPLATE - 0.5) @ [1, 1j]
    # In complex numbers a similarity is template -> turn * template + shift: a straight line to fit.
    spread = template - template.mean()
    turn = complex(np.vdot(spread, points) / np.vdot(spread, spread))
    shift = complex(points.mean() - turn * template.mean())
    # Landmarks of a tiny face may fall together.
    side = max(1.0, abs(turn)) * (1 + 2 * margin)
    return TurnedSquare((shift.real, shift.imag), side, math.atan2(turn.imag, turn.real))


def crop_turned(
    preprocessing: Preprocessing, image: NDArray[np.uint8], square: TurnedSquare
) -> NDArray[np.uint8]:
    """Cut the square out of ``image`` [H, W, 3] and resize it, antialiased, to uint8 [S, S, 3].

    Beyond the image its edge is repeated.
    """
    size = preprocessing.size
    # The upright square around the turned one is resized first, since turning does no antialiasing.
    around = abs(math.cos(square.angle)) + abs(math.sin(square.angle))
    x, y = square.center
    half = square.side * around / 2
    # The filters reach up to 3 pixels of the result beyond the square.
    reach = half + 3 * max(1.0, square.side / size)
    left, top = math.floor(x - reach), math.floor(y - reach)
    right, bottom = math.ceil(x + reach), math.ceil(y + reach)
    box = (x - half - left, y - half - top, x + half - left, y + half - top)
    outer = round(size * around)
    upright = preprocessing.resize(_region(image, left, top, right, bottom), box, outer)
    scale = outer / (size * around)
    cos, sin = scale * math.cos(square.angle), scale * math.sin(square.angle)
    middle = outer / 2
    to_source = (
        cos, -sin, middle - (cos - sin) * size / 2,
        sin, cos, middle - (sin + cos) * size / 2,
    )  # fmt: skip
    turned = Image.fromarray(upright).transform(
        (size, size), Image.Transform.AFFINE, to_source, Image.Resampling.BICUBIC
    )
    return np.asarray(turned)


def _region(image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Return the pixels from ``left`` to ``right`` and ``top`` to ``bottom``, the edge repeated outside."""
    rows = np.clip(np.arange(top, bottom), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, image.shape[1] - 1)
    region: NDArray[np.uint8] = image[rows[:, None], columns]
    return region
