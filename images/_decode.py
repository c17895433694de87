"""The one decoder of images, from encoded bytes to upright RGB pixels.

Bytes from anywhere must be a JPEG or PNG file, whose metadata ``read_container`` removes before a library
sees it. Files of this machine may also be TIFF, BMP, WebP or PPM. What both take they treat alike.
"""

from __future__ import annotations

import contextlib
import io
import re
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, TiffImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from lnlattennet._command import printable
from lnlattennet.errors import ImageError
from lnlattennet.images._color import opaque
from lnlattennet.images._libjpeg import decode_undamaged
from lnlattennet.images._sniff import describe_refused, sniff
from lnlattennet.images._upright import TURNS, upright
from lnlattennet.images._whole_file import read_image_file
from lnlattennet.images.containers._base import Container
from lnlattennet.images.containers._jpeg_end import CONTINUATIONS, END_OF_IMAGE, without_trailer
from lnlattennet.images.containers._orientation import orientation
from lnlattennet.images.containers._read import read_container

MIN_SIDE = 16
"""Minimum side of an image in pixels, but for data sets: a smaller one shows no expression."""

MAX_PIXELS = 16_000_000
"""Maximum number of pixels that are decoded of bytes from anywhere: they take 48 MB."""

LARGE_JPEG = 5
"""A JPEG file may have this many times ``MAX_PIXELS``: it is decoded at a half or a quarter of its size."""

MAX_COEFFICIENTS = 100_000_000
"""Maximum number of coefficients of a progressive JPEG, which its decoder holds at once in 200 MB."""

DATA_SET_MAX_PIXELS = 80_000_000
"""Maximum number of pixels of a file of this machine: 240 MB decoded, slightly below Pillow's own limit."""

_FORMATS = ("JPEG", "PNG")
_MORE_FORMATS = ("TIFF", "BMP", "WebP", "PPM")
"""Formats of files of this machine besides JPEG and PNG."""

FILE_SUFFIXES = frozenset(
    {".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings, in lower case, by which the files of a folder are taken for images."""

_LAST_PIXELS = 16
"""Bytes at the end of a JPEG file without which pixels are missing in any case."""


@dataclass(frozen=True)
class Detail:
    """Sides in pixels that suffice: a JPEG file is decoded at a half, quarter or eighth that keeps both."""

    long_side: int
    short_side: int


@dataclass(frozen=True)
class DecodedImage:
    """An upright image, whole or at a reduced size.

    Attributes:
        pixels: RGB, uint8 [H, W, 3].
        width: columns of the upright image at its full size.
        height: its rows.
        scale: pixels of the full size for one of ``pixels``, on a side: 1, 2, 4 or 8.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    scale: int = 1


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG file from anywhere to upright RGB, uint8 [H, W, 3].

    The orientation is applied that EXIF, XMP or a text of the file states. Transparent parts show white, as
    viewers show them. Of 16-bit channels the upper 8 bits are kept, or, if no value needs more than 12 or 8
    bits, the upper 8 of these. Embedded color profiles are ignored. A JPEG file needs no end marker if all
    of its pixels are there.

    Args:
        data: the file.
        max_pixels: the most pixels to decode; a JPEG file of up to five times as many is decoded at a half or
            a quarter of its size.

    Raises:
        ImageError: not a JPEG or PNG file, damaged, smaller than 16 pixels on a side, or too large; the size
            is checked before pixels are decoded.
    """
    return decode(data, max_pixels).pixels


def decode(
    data: bytes, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE, enough: Detail | None = None
) -> DecodedImage:
    """Decode as ``decode_image`` does, or a JPEG file with just ``enough`` detail; tell the full size."""
    container = read_container(data)
    scale = _scale(container, max_pixels, min_side, enough)
    image: NDArray[np.uint8] | Image.Image | None = None
    if container.format == "JPEG":
        image = decode_undamaged(container, scale)
    try:
        if image is None:
            all_bits = partial(_all_bits, container.pixels)
            image = opaque(_open(container, scale), container.bit_depth, all_bits)
        return _upright(image, container.orientation, container.width, container.height, scale)
    # Pillow raises these on damaged files; SyntaxError means that the data has another format.
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(
            f"the {container.format} file ({len(data)} bytes) is damaged or cut off: {error}; "
            "send the whole file, or save it anew"
        ) from error


def decode_file(
    data: bytes,
    min_side: int = MIN_SIDE,
    enough: Detail | None = None,
    max_pixels: int = DATA_SET_MAX_PIXELS,
) -> DecodedImage:
    """Decode the contents of a file of this machine: JPEG, PNG, TIFF, BMP, WebP or PPM.

    JPEG files are decoded as by ``decode``, others may have ``max_pixels``.

    Raises:
        ImageError: it is damaged, of another format, or of a size that is refused.
    """
    kind = sniff(data)
    if kind not in _MORE_FORMATS:
        return decode(data, max_pixels, min_side, enough)
    try:
        return _decode_by_pillow(data, kind.upper(), max_pixels, min_side)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"an image may have at most {max_pixels:,} pixels"
        raise ImageError(f"{limit}: {error}; scale it down first") from error
    # Pillow's readers raise nearly anything on damaged files: KeyError, TypeError, struct.error, ...
    except Exception as error:
        raise ImageError(
            f"the {kind} file ({len(data)} bytes) is damaged or cut off: {type(error).__name__}: {error}; "
            "save it anew, or leave it out"
        ) from error


def as_jpeg_or_png(data: bytes) -> bytes:
    """Return the contents of a file of this machine in a format that ``decode`` and servers take.

    Raises:
        ImageError: it is a damaged TIFF, BMP, WebP or PPM file, or of a size that ``decode`` refuses.
    """
    if sniff(data) not in _MORE_FORMATS:
        return data
    stream = io.BytesIO()
    Image.fromarray(decode_file(data, max_pixels=MAX_PIXELS).pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def read_data_set_image(path: Path, enough: Detail | None = None) -> DecodedImage:
    """Decode an image file of a data set, of any size from 1 x 1, as ``decode_file`` does.

    Raises:
        ImageError: the file is missing, damaged, of another format, or larger than
            ``DATA_SET_MAX_PIXELS``; the message has its name.
    """
    name, formats = printable(path), (*_FORMATS, *_MORE_FORMATS)
    try:
        data = read_image_file(path)
    except FileNotFoundError as error:
        raise ImageError(f"{name} is missing; unpack the data set again") from error
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    if sniff(data) not in formats:
        raise ImageError(
            f"{name} is damaged, or no image of the formats {', '.join(formats)}: it looks like "
            f"{describe_refused(data)}"
        )
    try:
        return decode_file(data, 1, enough)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def convert_image(image: Image.Image) -> DecodedImage:
    """Convert a Pillow image as ``decode`` decodes a file.

    A large one is reduced, of any format. Of 16-bit channels in color Pillow has kept the upper 8 bits.

    Raises:
        ImageError: it is closed or damaged, of a mode without a fixed range, or of a size that is refused.
    """
    check_size(image.width, image.height, LARGE_JPEG * MAX_PIXELS)
    scale = _reduction(image.width * image.height, MAX_PIXELS)
    try:
        bit_depth = _bit_depth(image)
        image.load()
        shown = opaque(image.copy(), bit_depth)
        reduced = shown.reduce(scale) if scale > 1 else shown
        return _upright(reduced, _orientation_of(image), *image.size, scale)
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


def _scale(container: Container, max_pixels: int, min_side: int, enough: Detail | None) -> int:
    """Return by how much a file is to be reduced, or raise ImageError if its size is refused."""
    if container.format == "PNG":
        check_size(container.width, container.height, max_pixels, min_side)
        return 1
    whole = min(max_pixels, MAX_PIXELS)
    check_size(container.width, container.height, LARGE_JPEG * whole, min_side)
    if container.buffered > MAX_COEFFICIENTS:
        raise ImageError(
            f"a progressive JPEG file may have at most {MAX_COEFFICIENTS:,} samples in all channels, got "
            f"{container.buffered:,}; scale it down first, or save it as a baseline JPEG"
        )
    spare = 1 if enough is None else _spare(container.width, container.height, enough)
    return max(spare, _reduction(container.width * container.height, whole))


def _reduction(pixels: int, whole: int) -> int:
    """Return 1 for up to ``whole`` pixels, else the smallest power of 2 that leaves at most half of them."""
    return 1 if pixels <= whole else 2 if pixels <= 2 * whole else 4


def _spare(width: int, height: int, enough: Detail) -> int:
    """Return by how much a width x height image can be reduced that keeps ``enough`` pixels on its sides."""
    ratio = min(max(width, height) // enough.long_side, min(width, height) // enough.short_side)
    return next(scale for scale in (8, 4, 2, 1) if scale <= max(1, ratio))


def _open(container: Container, scale: int) -> Image.Image:
    if container.format == "PNG":
        return _load(container, container.pixels, scale)
    # The search for the end takes as long as decoding, so it waits until there is a reason.
    if container.pixels.rfind(END_OF_IMAGE) > 0:
        with contextlib.suppress(OSError):
            return _load(container, container.pixels, scale)
    for pixels in without_trailer(container.pixels):
        if pixels.endswith(END_OF_IMAGE):
            return _load(container, pixels, scale)
        image = _all_pixels(container, pixels, scale)
        # Otherwise a trailer was taken for the pixels that are missing before it.
        if image and not _all_pixels(container, pixels[:-_LAST_PIXELS], scale):
            return image
    raise OSError("it has no end marker, and pixels are missing before its end")


def _all_pixels(container: Container, pixels: bytes, scale: int) -> Image.Image | None:
    """Decode a JPEG file without an end marker; return None if a pixel is missing."""
    try:
        first, *others = (_load(container, pixels + ending, scale) for ending in CONTINUATIONS)
    except OSError:
        return None
    # What follows the last pixel changes nothing.
    return first if all(ImageChops.difference(first, other).getbbox() is None for other in others) else None


def _load(container: Container, pixels: bytes, scale: int) -> Image.Image:
    # Image.open would warn about large sizes and look for other formats; both are settled by now.
    reader = JpegImageFile if container.format == "JPEG" else PngImageFile
    image = reader(io.BytesIO(pixels))
    if image.size != (container.width, container.height):
        raise ValueError(f"it declares two sizes, {container.width} x {container.height} and {image.size}")
    if scale > 1:
        image.draft(None, (container.width // scale, container.height // scale))
    image.load()
    return image


def _decode_by_pillow(data: bytes, file_format: str, max_pixels: int, min_side: int) -> DecodedImage:
    with Image.open(io.BytesIO(data), formats=(file_format,)) as image:
        check_size(image.width, image.height, max_pixels, min_side)
        bit_depth, range_bits = _bit_depth(image), None
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            range_bits = _declared_range(image)
        image.load()
        shown = opaque(image, bit_depth, partial(_all_bits, data), range_bits)
        return _upright(shown, _orientation_of(image), *image.size)


def _declared_range(image: TiffImagePlugin.TiffImageFile) -> int | None:
    """Return the bits that samples use by BitsPerSample or MaxSampleValue, if they are from 9 to 15."""
    bits, largest = (image.tag_v2.get(tag, (0,)) for tag in (258, 281))
    declared = (max(bits), max(largest if isinstance(largest, tuple) else (largest,)).bit_length())
    return next((number for number in declared if 8 < number < 16), None)


def _bit_depth(image: Image.Image) -> int:
    """Return the bits per channel of the file of a Pillow image that was not loaded; 8 if nothing tells."""
    tiles = getattr(image, "tile", ())
    arguments = tiles[0][3] if tiles else ""
    name, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
    if image.format == "PPM":
        return 16 if any(isinstance(maximum, int) and maximum > 255 for maximum in rest) else 8
    # Elsewhere, as in BMP, the number is of a pixel.
    match = re.search(r";(\d+)", str(name)) if image.format in ("PNG", "TIFF") else None
    return int(match[1]) if match else 8


def _orientation_of(image: Image.Image) -> int:
    """Return the orientation of a loaded Pillow image: what the caller has set, else what its file states.

    Of a TIFF file it is 1 by then, since Pillow turns it upright while it loads.
    """
    try:
        found = image.getexif().get(0x0112)
    # On damaged EXIF Pillow raises nearly anything; damaged metadata states nothing.
    except Exception:
        found = None
    if isinstance(found, bytes):
        found = int.from_bytes(found[:1])
    if found is not None:
        return int(found) if found in TURNS else 1
    xmp = (image.info.get(name, b"") for name in ("xmp", "XML:com.adobe.xmp"))
    return orientation((), [text.encode() if isinstance(text, str) else text for text in xmp])


def _all_bits(data: bytes) -> NDArray[np.uint16]:
    """Return all bits of a color image of 16 bits per channel, [H, W, 3 or 4], RGB or RGBA."""
    # OpenCV takes long to import, and such images are rare.
    import cv2

    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot read its 16 bits: {error}") from error
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
        raise ValueError("OpenCV cannot read its 16 bits")
    order = [2, 1, 0, 3][: samples.shape[2]]
    return np.ascontiguousarray(samples[..., order])


def _upright(
    image: Image.Image | NDArray[np.uint8], turn: int, width: int, height: int, scale: int = 1
) -> DecodedImage:
    """Return the pixels of an image whose file has the size width x height, turned upright."""
    if turn >= 5:
        width, height = height, width
    return DecodedImage(upright(image, turn), width, height, scale)
