"""The fast decoder of JPEG files against Pillow's, and the files that it leaves to Pillow."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from lnlattennet.images._libjpeg import decode_undamaged
from lnlattennet.images.containers._read import read_container
from tests.images.corpus import encode, scene


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_undamaged_jpegs_have_the_pixels_of_pillows_decoder(scale: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (67, 93, 3), dtype=np.uint8)
    for pixels, options in itertools.product(
        (scene(67, 93), noise, np.ascontiguousarray(noise[..., 0])),
        ({"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2, "restart_marker_blocks": 3},
         {"progressive": True}, {"quality": 20}, {"quality": 100, "optimize": True}),
    ):  # fmt: skip
        data = encode(pixels, "JPEG", **options)
        with Image.open(io.BytesIO(data)) as image:
            image.draft(None, (93 // scale, 67 // scale))
            expected = np.asarray(image.convert("RGB"))
        found = decode_undamaged(read_container(data), scale)
        assert found is not None
        np.testing.assert_array_equal(found, expected)


def test_damaged_jpegs_and_those_of_four_inks_are_left_to_pillow() -> None:
    data = encode(scene(), "JPEG")
    middle = data.index(b"\xff\xda") + 60
    broken = data[:middle] + b"\xff\xc5" + data[middle + 2 :]
    inks = encode(Image.fromarray(scene()).convert("CMYK"), "JPEG")
    for file in (data[:-40], data[:-2], broken, inks):
        assert decode_undamaged(read_container(file), 1) is None
