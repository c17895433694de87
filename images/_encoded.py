"""Encoded image files in the forms that a caller may hold: anything like bytes."""

from __future__ import annotations

import array
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import ImageTypeError
from lnlattennet.images._sniff import describe_wrapped

EncodedImage = bytes | bytearray | memoryview | NDArray[np.uint8]
"""Bytes of a JPEG or PNG file, as an object like bytes or as the array that ``cv2.imencode`` gives."""


def encoded_bytes(source: object) -> bytes | None:
    """Return the content of an object like bytes, or of a flat uint8 array; None of every other object.

    OpenCV gives arrays [N], and gave [N, 1] before 4.5. A decoded image has two axes of several pixels.
    """
    if isinstance(source, bytes):
        return bytes(source)
    try:
        view = memoryview(source)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # no buffer, or one that was released or closed
        return None
    flat = view.ndim > 0 and sum(side != 1 for side in view.shape or ()) <= 1
    return view.tobytes() if flat and view.format.lstrip("@=<>!") in ("B", "b", "c") else None


def require_encoded(source: object) -> bytes:
    """Return the content of an encoded image.

    Raises:
        ImageTypeError: it is not like bytes; the message says how to get them.
    """
    data = encoded_bytes(source)
    if data is None:
        raise ImageTypeError(
            "an image must be the bytes of a JPEG or PNG file, got "
            f"{type(source).__name__}; {_advise_encoding(source) or advise(source)}"
        )
    return data


def advise(source: Any) -> str:
    """Say what to pass in place of an object that is no image in any form."""
    if source is None:
        return "cv2.imread gives None for a file that it cannot read"
    if isinstance(source, list):
        return "pass one image, or one list of images that holds no other list"
    if isinstance(source, bool | tuple):
        return "of cv2.imencode's answer (ok, data) pass data"
    if hasattr(source, "numpy"):
        return "pass what its numpy() gives"
    if hasattr(source, "__iter__"):
        return "pass several images as a list"
    return "pass Path(path).read_bytes()"


def _advise_encoding(source: Any) -> str | None:
    if isinstance(source, str) and (wrapped := describe_wrapped(source.encode(errors="replace"))):
        return f"it is {wrapped}"
    if isinstance(source, np.ndarray) and source.dtype.kind not in "OS":
        return "encode an RGB image: cv2.imencode('.png', image[..., ::-1])[1]"
    if isinstance(source, Image.Image):
        return "save it: image.save(stream := io.BytesIO(), 'PNG'); then pass stream.getvalue()"
    if isinstance(source, memoryview | array.array | np.void):
        return "pass what its tobytes() gives"
    if hasattr(source, "read"):
        return "pass what its read() gives, of a file that was opened with mode 'rb'"
    return "pass Path(path).read_bytes()" if isinstance(source, str | os.PathLike) else None
