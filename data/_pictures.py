"""Picture files of data sets to RGB pixels: more kinds of files than a server accepts, TIFF among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lnlattennet._command import printable
from lnlattennet.data._records import Face
from lnlattennet.errors import ImageError

MAX_PIXELS = 80_000_000
"""Most pixels per picture: they decode to 240 MB. Pillow's own alarm is a little above."""

_KINDS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")


@dataclass(frozen=True)
class PictureFiles:
    """Reads a face's picture from the file that its name gives, relative to ``root``."""

    root: Path

    def __call__(self, face: Face) -> NDArray[np.uint8]:
        """Return RGB uint8 [H, W, 3]; raises ImageError that names the face."""
        return read_picture(self.root / face.name)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode a picture file to its upright RGB pixels, uint8 [H, W, 3].

    Its EXIF orientation is applied, transparent parts show white, and of 16-bit grey the upper 8 bits are
    kept, all as the server does with JPEG and PNG.

    Raises:
        ImageError: the file is missing, damaged, of another kind, or larger than ``MAX_PIXELS``; the size
            is checked before pixels are decoded.
    """
    try:
        with Image.open(path, formats=_KINDS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise _too_large(path, f"{picture.width} x {picture.height}")
            return np.array(_to_rgb(ImageOps.exif_transpose(picture), picture.format))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, str(error)) from error
    except FileNotFoundError as error:
        raise ImageError(f"{printable(path)} is missing; unpack the data set again") from error
    # Pillow's readers raise nearly anything on damaged files: KeyError, TypeError, struct.error, ...
    except Exception as error:
        # Of a file of another kind Pillow says no more than its name.
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({type(error).__name__}: {error})"
        raise ImageError(
            f"{printable(path)} is damaged, or no picture of the kinds {', '.join(_KINDS)}{reason}; "
            "unpack it again, or leave it out"
        ) from error


def _to_rgb(picture: Image.Image, kind: str | None) -> Image.Image:
    # Pillow widens a PGM of 16 bits to 32, whatever its own maximum, and scales it to 16.
    if picture.mode.startswith("I;16") or (picture.mode == "I" and kind == "PPM"):
        picture = Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode} have no fixed range; save it with 8 or 16 bits")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    transparent = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), transparent).convert("RGB")


def _too_large(path: Path, size: str) -> ImageError:
    return ImageError(
        f"{printable(path)}: a picture may have at most {MAX_PIXELS:,} pixels, got {size}; scale it down"
    )
