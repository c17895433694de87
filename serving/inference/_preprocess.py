"""From an encoded picture to the network's input, as every server and local prediction does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.images._decode import decode_image
from lnlattennet.images._face_detector import FaceFinder
from lnlattennet.model._preprocessing import Box, Preprocessing


@dataclass(frozen=True)
class PreparedFace:
    """One face, ready for the network.

    Attributes:
        face: float32 [3, S, S], normalised.
        box: what was cropped, in pixels of the upright picture.
        found: whether a face was found, or the centre square taken.
    """

    face: NDArray[np.float32]
    box: Box
    found: bool


class Preprocessor:
    """Decodes a picture, finds the face, crops and normalises it by a bundle's recipe."""

    def __init__(self, recipe: Preprocessing) -> None:
        self._recipe = recipe
        self._find_face = FaceFinder(recipe.face_margin)

    def __call__(self, data: bytes) -> PreparedFace:
        """Prepare the encoded picture ``data``.

        Raises:
            ImageError: it is damaged, unsupported or of a size that is refused.
        """
        picture = decode_image(data)
        location = self._find_face(picture)
        face = self._recipe.normalize(self._recipe.crop(picture, location.box))
        return PreparedFace(face, location.box, location.found)
