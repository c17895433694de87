"""Films for tests: a rendered face that moves, in a few small frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic import render_face

Image = NDArray[np.uint8]
WIDTH, HEIGHT, FACE = 160, 120, 80
RATE = 30
_TICK = Fraction(1, 1000)


@cache
def face(seed: int) -> Image:
    return render_face(seed, "happiness", size=FACE, with_regions=False).image


def images(count: int, seed: int = 7, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Image]:
    """A face that drifts to the right over its background; a red mark is in the upper left corner."""
    rng = np.random.default_rng(seed)
    blotches = rng.integers(40, 200, (4, 5, 3), dtype=np.uint8)
    background = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    for index in range(count):
        image = background.copy()
        left, top = 20 + index % 40, 20
        image[top : top + FACE, left : left + FACE] = face(seed)
        image[:12, :12] = (230, 0, 0)
        yield np.asarray(image)


def write_film(
    path: Path,
    frames: Iterable[Image],
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    **options: Any,
) -> Path:
    """Write a film; ``times`` are seconds of its frames, 1/30 s apart by default, ``keyframes`` is how many
    frames one of them begins.
    """
    turn, color_range = options.pop("rotation", None), options.pop("color_range", None)
    rate, keyframes = options.pop("rate", RATE), options.pop("keyframes", 12)
    with av.open(str(path), "w", format=options.pop("format", None), options=options) as container:
        stream: Any = None  # codec names do not tell the type checker that it is one of images
        for index, image in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.gop_size = "yuv420p", keyframes
                stream.codec_context.time_base = _TICK
                if turn is not None:
                    stream.set_display_rotation(turn)
                if color_range is not None:
                    stream.codec_context.color_range = color_range
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round((times[index] if times else index / RATE) * 1000)
            frame.time_base = _TICK
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())
    return path
