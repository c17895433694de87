"""Images: decoding, finding and cropping of faces, and drawing of region weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.images._decode import decode_image
    from lnlattennet.images._face_crop import FaceCrop, FaceCropper, FaceLocation, FaceStatus
    from lnlattennet.images._read import ImageSource, read_image

__all__ = [
    "FaceCrop",
    "FaceCropper",
    "FaceLocation",
    "FaceStatus",
    "ImageSource",
    "decode_image",
    "read_image",
]

__getattr__ = lazy_names(__name__, __file__)
