"""Decoder of image files and Pillow images to upright RGB pixels.

Untrusted files, sent to a server or named by a user, must be JPEG or PNG of at most 16 megapixels, and
``read_container`` removes their metadata. Files of a data set, unpacked by its owner, may have any of
``DATA_SET_FORMATS`` and 80 megapixels. Orientation and colors are treated alike.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from lnlattennet._command import printable
from lnlattennet.errors import ImageError
from lnlattennet.images._containers import Container, read_container

MIN_SIDE = 16
"""Minimum side of an untrusted image in pixels: a smaller one shows no expression."""

MAX_PIXELS = 16_000_000
"""Maximum number of pixels of an untrusted image: they decode to 48 MB."""

DATA_SET_MAX_PIXELS = 80_000_000
"""Maximum number of pixels of a data set's image: 240 MB decoded, slightly below Pillow's own limit."""

DATA_SET_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")

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
    """Decode an untrusted JPEG or PNG file to upright RGB, uint8 [H, W, 3].

    Its EXIF orientation is applied. Transparent parts show white, as viewers show them. Of 16-bit channels
    the upper 8 bits are kept. Embedded color profiles are ignored.

    Raises:
        ImageError: not a JPEG or PNG file, damaged, smaller than 16 pixels on a side, or larger than
            ``max_pixels``; the size is checked before pixels are decoded.
    """
    container = read_container(data)
    check_size(container.width, container.height, max_pixels)
    try:
        image = _to_rgb(_open(container), container.format, container.bit_depth)
    # Pillow raises these on damaged files; SyntaxError means that the data has another format.
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(
            f"the {container.format} file ({len(data)} bytes) is damaged or cut off: {error}; "
            "send the whole file, or save it anew"
        ) from error
    if container.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[container.orientation])
    return np.array(image)


def read_data_set_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file of a data set as ``decode_image`` does, but in any of ``DATA_SET_FORMATS``.

    Raises:
        ImageError: the file is missing, damaged, of another format, or larger than ``DATA_SET_MAX_PIXELS``;
            the message has its name. The size is checked before pixels are decoded.
    """
    try:
        with Image.open(path, formats=DATA_SET_FORMATS) as image:
            check_size(image.width, image.height, DATA_SET_MAX_PIXELS, min_side=1)
            return _upright_rgb(image)
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"an image may have at most {DATA_SET_MAX_PIXELS:,} pixels"
        raise ImageError(f"{printable(path)}: {limit}: {error}; scale it down first") from error
    except FileNotFoundError as error:
        raise ImageError(f"{printable(path)} is missing; unpack the data set again") from error
    # Pillow's readers raise nearly anything on damaged files: KeyError, TypeError, struct.error, ...
    except Exception as error:
        # For a file of another format Pillow's message is only its name.
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({type(error).__name__}: {error})"
        raise ImageError(
            f"{printable(path)} is damaged, or no image of the formats {', '.join(DATA_SET_FORMATS)}"
            f"{reason}; unpack it again, or leave it out"
        ) from error


def convert_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return a Pillow image as ``decode_image`` returns a file: upright RGB, uint8 [H, W, 3].

    Raises:
        ImageError: it is closed or damaged, of a mode without a fixed range, or of a size that is refused.
    """
    check_size(image.width, image.height)
    try:
        return _upright_rgb(image)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(f"cannot read the Pillow image: {error}; open it again, or save it anew") from error


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> None:
    """Raise ImageError if an image is too small to see an expression, or has more than ``max_pixels``."""
    if min(width, height) < min_side:
        raise ImageError(
            f"an image must have at least {min_side} pixels on each side, got {width} x {height}; "
            "send a larger image of the face"
        )
    if width * height > max_pixels:
        raise ImageError(
            f"an image may have at most {max_pixels:,} pixels, got {width} x {height} = {width * height:,}; "
            "scale it down first"
        )


def _open(container: Container) -> Image.Image:
    # Image.open would warn about large sizes and look for other formats; both are settled by now.
    reader = JpegImageFile if container.format == "JPEG" else PngImageFile
    image = reader(io.BytesIO(container.pixels))
    if image.size != (container.width, container.height):
        raise ValueError(f"it declares two sizes, {container.width} x {container.height} and {image.size}")
    image.load()
    return image


def _upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(_to_rgb(ImageOps.exif_transpose(image), image.format))


def _to_rgb(image: Image.Image, file_format: str | None, bit_depth: int = 8) -> Image.Image:
    key = image.info.get("transparency")
    if key is not None and bit_depth == 16:
        # Pillow would compare the 16-bit transparent color with pixels that it has cut to 8 bits.
        del image.info["transparency"]
    elif isinstance(key, int) and bit_depth < 8 and image.mode == "L":
        # It stretches shades of 2 and 4 bits to 8, but not the transparent one.
        image.info["transparency"] = key * 255 // (2**bit_depth - 1)
    # Pillow widens a PGM of 16 bits to 32, whatever its own maximum, and scales it to 16.
    if image.mode.startswith("I;16") or (image.mode == "I" and file_format == "PPM"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no fixed range; save it with 8 or 16 bits")
    if not image.has_transparency_data:
        return image.convert("RGB")
    transparent = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), transparent).convert("RGB")
