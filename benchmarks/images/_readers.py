"""The candidates, each from the bytes of a file to upright RGB pixels, uint8 [H, W, 3]."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lnlattennet.images._decode import decode
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._preprocessing import Preprocessing

Reader = Callable[[bytes], NDArray[np.uint8]]

SUBJECT = "lnlattennet"
"""The product's reader, as a server calls it to find a face."""
WHOLE = "OpenCV, whole"
"""The candidate that memory is compared with: it needs the least for a whole image."""


def readers() -> dict[str, Reader]:
    """Return every candidate by name, the product's reader first."""
    # The finder of a base installation, which searches a smaller image than libfacedetection does.
    enough = FaceCropper(Preprocessing(size=112, face_finder="haar")).enough
    return {
        SUBJECT: lambda data: decode(data, enough=enough).pixels,
        "lnlattennet, read_image": lambda data: decode(data).pixels,
        "Pillow, whole": _pillow,
        WHOLE: _opencv,
    }


def _pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def _opencv(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
