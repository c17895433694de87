"""Reader of the image files of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._records import Face
from lnlattennet.images._decode import read_data_set_image


@dataclass(frozen=True)
class ImageFiles:
    """Reads a face's image from the file that its name gives, relative to ``root``."""

    root: Path

    def __call__(self, face: Face) -> NDArray[np.uint8]:
        """Return RGB uint8 [H, W, 3]; raises ImageError that names the face."""
        return read_data_set_image(self.root / face.name)
