"""Crops that somebody else made: taken as faces, without a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ImageTypeError
from lnlattennet.images._face_crop import FaceLocation
from lnlattennet.model._preprocessing import Preprocessing, center_square


def require_crops(crops: Any) -> NDArray[Any] | list[Any]:
    """Return what holds crops of faces, an array [n, ...] or a list; what it holds is not looked at.

    Raises:
        ImageTypeError: it is no such thing, or one crop.
    """
    if hasattr(crops, "__array__"):
        crops = np.asarray(crops)
    elif hasattr(crops, "__iter__") and not isinstance(crops, str | bytes | bytearray | Mapping):
        return list(crops)
    if isinstance(crops, np.ndarray) and (crops.ndim == 4 or (crops.ndim == 1 and crops.dtype == object)):
        return crops
    got = f"{crops.dtype} {list(crops.shape)}" if isinstance(crops, np.ndarray) else type(crops).__name__
    raise ImageTypeError(
        f"crops of faces must be an array [n, height, width, 3] or a list of arrays, got {got}; "
        "pass one crop as a list, and the file of a photograph to a method that finds faces"
    )


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
