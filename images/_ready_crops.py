"""Crops that somebody else made: taken as faces, without a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnlattennet.images._face_crop import FaceLocation
from lnlattennet.model._preprocessing import Preprocessing, center_square


def crop_centers(
    images: Sequence[NDArray[np.uint8]], preprocessing: Preprocessing
) -> tuple[NDArray[np.uint8], list[FaceLocation]]:
    """Resize the center square of each image [H, W, 3] to the network's size.

    Returns:
        The crops, uint8 [n, S, S, 3], and where they were taken; no finder looked, so none is found.
    """
    squares = [center_square(image.shape[1], image.shape[0]) for image in images]
    crops = np.empty((len(images), preprocessing.size, preprocessing.size, 3), np.uint8)
    for index, box in enumerate(squares):
        crops[index] = preprocessing.crop(images[index], box)
    return crops, [FaceLocation(box=box, status="no_face") for box in squares]
