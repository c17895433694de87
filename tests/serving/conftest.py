"""Images that the tests of serving send, and their search for leftovers."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], list[int]]:
    """Find living processes whose command line names a folder: a server and its python models."""
    # With it comes scipy, which most tests here do without.
    from lnlattennet.benchmarks.serving.soak._resources import processes_in

    return processes_in


@pytest.fixture(scope="session")
def images() -> list[bytes]:
    """Encoded images that differ in content, size, shape and format."""
    generator = np.random.default_rng(3)
    sizes = [(112, 112), (90, 160), (200, 120), (64, 64)]
    return [
        _encode(_waves(generator, *size), kind)
        for size, kind in zip(sizes, ["PNG", "JPEG", "PNG", "JPEG"], strict=True)
    ]


def _waves(generator: np.random.Generator, height: int, width: int) -> Image.Image:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    channels = [
        np.sin(2 * np.pi * (a * rows + b * columns + c)) for a, b, c in generator.uniform(0.2, 3, size=(3, 3))
    ]
    return Image.fromarray((127.5 + 127.5 * np.stack(channels, axis=-1)).astype(np.uint8))


def _encode(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()
