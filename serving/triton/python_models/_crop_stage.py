"""Stage of the model for ready crops: pixels of a client to the engine's input."""

from __future__ import annotations

import numpy as np

from lnlattennet.errors import ImageError
from lnlattennet.images._decode import check_size
from lnlattennet.images._ready_crops import crop_centers
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.serving.triton._model_names import FACE
from lnlattennet.serving.triton.python_models._stages import Arrays

CROP = "crop"
"""Input of ``expression_tensor``: crops of faces, RGB."""


class CropStep:
    """Crops ``crop`` uint8 [B, H, W, 3] -> normalized faces ``face`` float32 [B, 3, S, S]."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    def __call__(self, arrays: Arrays) -> Arrays:
        """Resize the center square of each crop to the network's size, and normalize it.

        Raises:
            ImageError: the crops have other than three channels, or are too small or too large.
        """
        crops = arrays[CROP]
        if crops.shape[-1] != 3:
            raise ImageError(f"{CROP} must be RGB, uint8 [batch, height, width, 3], got {list(crops.shape)}")
        check_size(crops.shape[2], crops.shape[1])
        faces, _ = crop_centers(list(crops), self._preprocessing)
        return {FACE: self._preprocessing.normalize(np.asarray(faces))}
