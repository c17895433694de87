"""Encoded pictures to RGB pixels, for files that come from strangers."""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from lnlattennet.errors import ImageError
from lnlattennet.images._containers import Container, read_container

MIN_SIDE = 16
"""Fewest pixels per side: below, no expression can be seen."""

MAX_PIXELS = 16_000_000
"""Most pixels per picture: 16 megapixels decode to 48 MB."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG file to the upright RGB picture, uint8 [H, W, 3].

    Its EXIF orientation is applied. Transparent parts show white, as viewers show them. Of 16-bit channels
    the upper 8 bits are kept. Embedded colour profiles are ignored.

    Raises:
        ImageError: not a JPEG or PNG file, damaged, smaller than 16 pixels on a side, or larger than
            ``max_pixels``; the size is checked before pixels are decoded.
    """
    container = read_container(data)
    check_size(container.width, container.height, max_pixels)
    try:
        picture = _to_rgb(_open(container), container.bit_depth)
    # What Pillow raises on damaged files; SyntaxError is its "not this format after all".
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(
            f"the {container.format} file ({len(data)} bytes) is damaged or cut off: {error}; "
            "send the whole file, or save it anew"
        ) from error
    if container.orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[container.orientation])
    return np.array(picture)


def upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Return a Pillow image as ``decode_image`` returns a file: upright RGB, uint8 [H, W, 3].

    Raises:
        ImageError: it is closed or damaged, of a mode without a fixed range, or of a size that is refused.
    """
    check_size(image.width, image.height)
    try:
        return np.array(_to_rgb(ImageOps.exif_transpose(image), 8))
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(f"cannot read the Pillow image: {error}; open it again, or save it anew") from error


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raise ImageError if an image is too small to see an expression, or has more than ``max_pixels``."""
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"an image must have at least {MIN_SIDE} pixels on each side, got {width} x {height}; "
            "send a larger picture of the face"
        )
    if width * height > max_pixels:
        raise ImageError(
            f"an image may have at most {max_pixels:,} pixels, got {width} x {height} = {width * height:,}; "
            "scale it down first"
        )


def _open(container: Container) -> Image.Image:
    # Image.open would warn about large sizes and look for other formats; both are settled by now.
    reader = JpegImageFile if container.format == "JPEG" else PngImageFile
    picture = reader(io.BytesIO(container.pixels))
    if picture.size != (container.width, container.height):
        raise ValueError(f"it declares two sizes, {container.width} x {container.height} and {picture.size}")
    picture.load()
    return picture


def _to_rgb(picture: Image.Image, bit_depth: int) -> Image.Image:
    key = picture.info.get("transparency")
    if key is not None and bit_depth == 16:
        # Pillow would compare the 16-bit transparent colour with pixels that it has cut to 8 bits.
        del picture.info["transparency"]
    elif isinstance(key, int) and bit_depth < 8 and picture.mode == "L":
        # It stretches shades of 2 and 4 bits to 8, but not the transparent one.
        picture.info["transparency"] = key * 255 // (2**bit_depth - 1)
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode} have no fixed range; save it with 8 or 16 bits")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    transparent = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, transparent).convert("RGB")
