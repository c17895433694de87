"""Films of a rendered face that moves, of any length: a clip whose end meets its start, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic import render_face
from lnlattennet.errors import require

RATE = 30
"""Frames a second."""

_CLIP = 20
"""Seconds after which the face is where it was at the start."""

_TURNS = (5, 4)
"""How often it goes from left to right and back in a clip, and up and down."""

_FACE = 0.4
"""Height of the face over that of the frame, as in a video call."""

_GRAIN = 12
"""Most that the grain of a camera adds to a color, 0 to 255."""

_BITS = 0.1
"""Bits of a pixel, 2.8 Mbit/s of 720p: with fewer, as crf would take, a film is too easily decoded."""


def write_film(path: Path, width: int, height: int, seconds: int) -> None:
    """Write an MP4 file, H.264, 30 frames a second; the same each time.

    Raises:
        UnavailableError: PyAV is not installed.
    """
    av = require("av", "video")
    length = min(seconds, _CLIP)
    with TemporaryDirectory() as place:
        clip = Path(place, "clip.mp4")
        _write_clip(av, clip, width, height, length)
        with av.open(str(path), "w") as film:
            stream: Any = None
            for turn in range(-(-seconds // length)):
                with av.open(str(clip)) as source:
                    template = source.streams.video[0]
                    stream = stream or film.add_stream_from_template(template)
                    _copy(source, template, film, stream, turn * length, seconds)


def _copy(source: Any, template: Any, film: Any, stream: Any, start: int, end: int) -> None:
    """Copy a clip's packets to a film at ``start`` seconds, as far as they are shown before ``end``."""
    for packet in source.demux(template):
        if packet.dts is None:
            continue
        shift = round(start / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        if packet.pts * packet.time_base < end:
            packet.stream = stream
            film.mux(packet)


def _write_clip(av: Any, path: Path, width: int, height: int, seconds: int) -> None:
    with av.open(str(path), "w") as container:
        # Without frames that look ahead, a film may end at any of them.
        options = {"preset": "veryfast", "bf": "0"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.bit_rate = round(_BITS * width * height * RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, image in enumerate(_images(width, height, seconds * RATE)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _images(width: int, height: int, count: int) -> Iterator[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    blotches = generator.integers(40, 200, (4, 6, 3), dtype=np.uint8)
    background = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = generator.integers(0, _GRAIN + 1, (2 * height, 2 * width, 3), dtype=np.uint8)
    side = round(_FACE * height)
    face = render_face(0, "happiness", size=side, with_regions=False).image
    across, along = np.linspace(-1.25, 1.25, side), np.linspace(-1, 1, side)[:, None]
    oval = (across**2 + along**2 <= 1)[..., None]
    for index in range(count):
        angles = 2 * np.pi * index / (_CLIP * RATE) * np.array(_TURNS)
        right, down = 0.5 + 0.4 * np.sin(angles)
        left, top = round(right * (width - side)), round(down * (height - side))
        image = background.copy()
        around = image[top : top + side, left : left + side]
        around[:] = np.where(oval, face, around)
        y, x = generator.integers(0, (height, width))
        yield np.asarray(cv2.add(image, grain[y : y + height, x : x + width]), np.uint8)
