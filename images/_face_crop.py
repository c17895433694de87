"""Crop of the face in an image, the same in a server and in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ImageError
from lnlattennet.images._face_detector import FaceFinder
from lnlattennet.images._read import ImageSource, read_image
from lnlattennet.model._preprocessing import Box, Preprocessing


@dataclass(frozen=True)
class FaceCrop:
    """One face of an image.

    Attributes:
        image: the upright RGB image, uint8 [H, W, 3].
        face: its crop at the network's size, uint8 [S, S, 3].
        box: the cropped square, in pixels of ``image``.
        found: whether a face was found; otherwise the box is the center square.
    """

    image: NDArray[np.uint8]
    face: NDArray[np.uint8]
    box: Box
    found: bool


class FaceCropper:
    """Reads an image, finds the largest face and crops to it; may be used by many threads."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._find_face = FaceFinder(preprocessing.face_margin)

    def __call__(self, source: ImageSource) -> FaceCrop:
        """Crop to the face in an image of any form that ``read_image`` takes.

        Raises:
            ImageError: it is damaged, unsupported or of a size that is refused.
        """
        image = read_image(source)
        location = self._find_face(image)
        return FaceCrop(image, self._preprocessing.crop(image, location.box), location.box, location.found)

    def crop_batch(self, sources: Sequence[ImageSource]) -> list[FaceCrop]:
        """Crop to the face in every image.

        Raises:
            ImageError: an image is refused; the message starts with its index.
        """
        crops = []
        for index, source in enumerate(sources):
            try:
                crops.append(self(source))
            except ImageError as error:
                raise ImageError(f"image {index} of the batch: {error}") from error
        return crops
