"""Reader of images in the forms that a caller may hold: path, encoded bytes, file, Pillow image or array."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import ImageError, ImageTypeError
from lnlattennet.images._decode import (
    DecodedImage,
    Detail,
    check_size,
    convert_image,
    decode,
    decode_file,
)
from lnlattennet.images._encoded import EncodedImage, advise, encoded_bytes
from lnlattennet.images._sniff import describe_wrapped
from lnlattennet.images._whole_file import read_image_file

ImageSource = EncodedImage | str | os.PathLike[str] | IO[bytes] | Image.Image | NDArray[Any]
"""Bytes of a JPEG or PNG file, a file's path, a binary file, a Pillow image, or RGB uint8 [H, W, 3]."""


class FileBytes(bytes):
    """Content of an image file of this machine: of the formats and sizes that a path's file may have."""


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Return the upright RGB pixels of an image, uint8 [H, W, 3]; an array is returned as it is.

    Bytes and file objects are decoded as ``decode_image`` does it. The file of a path may also be TIFF, BMP,
    WebP or PPM, and have 80 megapixels. A JPEG file or Pillow image of more than 16 megapixels is returned at
    a half or a quarter of its size.

    Raises:
        ImageError: a file is missing, closed, damaged or of another format, an array is not RGB uint8
            [H, W, 3], or the image is smaller than 16 pixels on a side or too large.
        ImageTypeError: ``source`` is none of these.
    """
    return read(source).pixels


def read(source: ImageSource, enough: Detail | None = None) -> DecodedImage:
    """Read as ``read_image`` does, or a JPEG file with just ``enough`` detail, and tell the full size."""
    if isinstance(source, FileBytes):
        return decode_file(source, enough=enough)
    data = encoded_bytes(source)
    if data is not None:
        return decode(data, enough=enough)
    if isinstance(source, np.ndarray):
        image = require_rgb(source)
        height, width, _ = image.shape
        check_size(width, height)
        return DecodedImage(image, width, height)
    if isinstance(source, Image.Image):
        return convert_image(source)
    if isinstance(source, str | os.PathLike):
        return decode_file(_read_path(source), enough=enough)
    if hasattr(source, "read"):
        return decode(_read_file(source), enough=enough)
    raise ImageTypeError(
        "an image must be a path, the bytes of a JPEG or PNG file, a binary file object, a Pillow image or a "
        f"numpy array, got {type(source).__name__}; {advise(source)}"
    )


def require_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return ``array`` if it is RGB uint8 [H, W, 3].

    Raises:
        ImageError: it is not; the message says how to convert it.
    """
    array = np.asarray(array)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and 0 not in array.shape:
        return array
    raise ImageError(
        f"an image must be RGB uint8 [height, width, 3], got {array.dtype} {list(array.shape)}"
        f"{_conversion(array)}"
    )


def _conversion(array: NDArray[Any]) -> str:
    if 0 in array.shape:
        return "; it holds no pixels"
    if array.ndim == 4:
        return "; pass a batch as a list of images: list(images)"
    if array.dtype.kind in "OS":
        return "; pass several images as a list: images.ravel().tolist()"
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        return "; repeat a gray channel: np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)"
    if array.ndim == 3 and array.shape[2] == 4:
        return "; drop the alpha channel: image[..., :3]"
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        return "; move the channels to the end: image.transpose(1, 2, 0)"
    if array.ndim == 3 and array.shape[2] == 3 and np.issubdtype(array.dtype, np.floating):
        if array.min() >= 0 and array.max() <= 1:
            return "; scale it to 0..255: (image * 255).round().astype('uint8')"
        return "; if its values are 0..255, convert it: image.round().astype('uint8')"
    if array.ndim == 3 and array.shape[2] == 3:
        return "; if its values are 0..255, convert it: image.astype('uint8')"
    return ""


def _read_path(source: str | os.PathLike[str]) -> bytes:
    path = Path(source)
    if wrapped := describe_wrapped(str(path).encode(errors="replace")):
        raise ImageError(f"an image must be the path of a file or its bytes, got {wrapped}")
    if "://" in str(source):
        raise ImageError(f"an image must be a file on this machine, got the URL {source}; download it first")
    try:
        return read_image_file(path)
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {path}; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder; pass a list of its image files") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _read_file(file: Any) -> bytes:
    try:
        data: object = file.read()
    # What Python's own files raise when they are closed or were opened for writing.
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read the file object: {error}; open it with mode 'rb'") from error
    content = encoded_bytes(data)
    if content is None:
        raise ImageError(f"a file object must give bytes, got {type(data).__name__}; open it with mode 'rb'")
    if not content:
        raise ImageError("the file object is at its end, or empty; call its seek(0) first")
    return content
