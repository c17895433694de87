"""Colors of decoded images: 8 bits per channel of any depth, and nothing transparent.

A color profile is ignored, in every reader alike: to convert 12 megapixels of a phone's Display P3 to sRGB
with LittleCMS took 1.7 times as long as to decode them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AllBits = Callable[[], NDArray[np.uint16]]
"""Returns the samples of an image of which Pillow keeps the upper 8 bits, [H, W, 3 or 4], RGB or RGBA."""

_log = logging.getLogger(__name__)


def opaque(
    image: Image.Image, bit_depth: int = 8, all_bits: AllBits | None = None, range_bits: int | None = None
) -> Image.Image:
    """Return an image of 8 bits per channel without transparency, as viewers show it on white.

    A channel or a color that would hide every pixel is ignored: a BMP file of 32 bits may have a fourth
    byte that means nothing.

    Args:
        image: a loaded image of any mode.
        bit_depth: bits per channel of its file.
        all_bits: gives the samples that ``image`` has lost, if its file has 16 bits; None if nothing can.
        range_bits: bits that samples of 16 bits use, if the file says so; None looks at the samples.

    Raises:
        ValueError: pixels have no fixed range, or their lower bits cannot be read.
    """
    image = _eight_bits(image, bit_depth, all_bits, range_bits)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no fixed range; save it with 8 or 16 bits")
    if not image.has_transparency_data:
        return image
    transparent = image.convert("RGBA")
    if not transparent.getchannel("A").getbbox():
        return transparent.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), transparent).convert("RGB")


def _eight_bits(
    image: Image.Image, bit_depth: int, all_bits: AllBits | None, range_bits: int | None
) -> Image.Image:
    key = image.info.get("transparency")
    # Pillow widens a PGM of 16 bits to 32, whatever its own maximum, and scales it to 16.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        samples = np.asarray(image).astype(np.uint16)
        gray = Image.fromarray(_bytes(samples, range_bits))
        if isinstance(key, int):
            gray.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
        return gray
    if bit_depth == 16:
        # A transparent color of 16 bits says nothing about pixels that were cut to 8.
        if all_bits is not None and (key is not None or _looks_black(image)):
            return _from_samples(all_bits(), range_bits)
        image.info.pop("transparency", None)
    elif isinstance(key, int) and bit_depth < 8 and image.mode == "L":
        # Pillow stretches shades of 2 and 4 bits to 8, but not the transparent one.
        image.info["transparency"] = key * 255 // (2**bit_depth - 1)
    return image


def _looks_black(image: Image.Image) -> bool:
    """Tell whether samples of 12 bits may have been cut to their upper 4, or rounded to them."""
    ranges = image.getextrema()
    colors = ranges[: 1 if image.mode == "LA" else 3] if isinstance(ranges[0], tuple) else (ranges,)
    return max(high for _, high in colors) <= 16


def _from_samples(samples: NDArray[np.uint16], range_bits: int | None) -> Image.Image:
    image = Image.fromarray(_bytes(samples[..., :3], range_bits))
    if samples.shape[2] == 4:
        image.putalpha(Image.fromarray(_bytes(samples[..., 3], _used_bits(samples[..., 3]))))
    return image


def _bytes(samples: NDArray[np.uint16], bits: int | None) -> NDArray[np.uint8]:
    """Return the upper 8 of the bits that samples use."""
    used = _used_bits(samples)
    if bits is None or bits < used:
        bits = used
        if bits < 16:
            _say_range(bits)
    return (samples >> (bits - 8)).astype(np.uint8)


def _used_bits(samples: NDArray[np.uint16]) -> int:
    """Return 8, 12 or 16: the range of samples, as far as their largest one tells.

    Cameras store 12 bits in 16, and programs 8. The steps are wide on purpose: an image is taken for one of a
    lower step if its brightest sample has a sixteenth of the range, and then it looks black as it is.
    """
    largest = int(samples.max())
    return 16 if largest >= 1 << 12 or largest == 0 else 12 if largest >= 1 << 8 else 8


@functools.cache
def _say_range(bits: int) -> None:
    _log.warning(
        "images of 16 bits per channel hold values of %d bits at most: they are read by that range", bits
    )
