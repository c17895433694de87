"""One image on its way to an answer: from a file, a video or a camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """An image and where it comes from.

    Attributes:
        source: path, URL or device, as it was given or found.
        index: number of the frame in its source, from 0; None for an image file.
        time: presentation time in seconds from the start of the source; None for an image file.
        image: an image file, which is read where it is judged; the content of one; upright RGB pixels, uint8
            [H, W, 3]; or why there is no image, in words for users.
        shot: number of the shot in the source, from 0: a cut begins the next.
    """

    source: str
    index: int | None = None
    time: float | None = None
    image: Path | bytes | NDArray[np.uint8] | str = field(default="", repr=False)
    shot: int = 0
