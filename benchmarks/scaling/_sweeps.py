"""Sweeps: the same work at several sizes, each size a turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet._interleave import Turn
from lnlattennet.benchmarks.harness._jpeg import jpeg
from lnlattennet.benchmarks.harness._server import triton
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UnavailableError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Runner
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.serving import AsyncClient, LocalPredictor
from lnlattennet.serving.triton._discovery import find_server

_BATCHES = (1, 2, 4, 8, 16, 32)
_SIDES = (256, 512, 1024, 2048, 4096)
_ROWS = (1, 2, 3, 4)
_IN_FLIGHT = (1, 2, 4, 8, 16, 32)
_TILE = 256
_THREADS_WITH = 8


@dataclass(frozen=True)
class Sweep:
    """One size that is varied while everything else stays.

    Attributes:
        name: on the command line.
        what: what is timed, and of what the size is a number.
        turns: size -> timed call.
    """

    name: str
    what: str
    turns: Mapping[int, Turn]


@contextmanager
def batch_sweep(bundle: Bundle) -> Iterator[Sweep]:
    """Call the selected engine, on all cores, with ever more faces."""
    largest = bundle.manifest.engine().batch[2]
    runner = bundle.runner()
    turns = {count: _call(runner, _noise(bundle, count)) for count in _BATCHES if count <= largest}
    yield Sweep("batch", "a call of the engine, faces", turns)


@contextmanager
def thread_sweep(bundle: Bundle) -> Iterator[Sweep]:
    """Call the selected engine with the same faces on ever more cores.

    Raises:
        UnavailableError: torch runs it, which has one number of threads for all engines of a process.
    """
    engine = bundle.manifest.engine()
    if "torch" in backend_named(engine.backend).INFO.packages:
        raise UnavailableError(
            f"torch runs {engine.name}, and has one number of threads for all engines of a process: export "
            "the bundle with --backend openvino or onnxruntime"
        )
    faces = _noise(bundle, min(_THREADS_WITH, engine.batch[2]))
    counts = sorted({1, *(2**power for power in range(1, 10) if 2**power < usable_cpus()), usable_cpus()})
    turns = {count: _call(bundle.runner(threads=count), faces) for count in counts}
    yield Sweep("threads", f"a call of the engine with {len(faces)} faces, threads", turns)


@contextmanager
def pixel_sweep(bundle: Bundle) -> Iterator[Sweep]:
    """Predict the largest face of ever larger JPEG files."""
    predictor = LocalPredictor(bundle)
    (face,), _ = render_split("test", 1, _SIDES[1], workers=1)
    images = {side * side: jpeg(Image.fromarray(cv2.resize(face, (side, side)))) for side in _SIDES}
    turns = {pixels: _timed(partial(predictor.predict, image)) for pixels, image in images.items()}
    yield Sweep("pixels", "bytes of a JPEG file to its answer, pixels", turns)


@contextmanager
def face_sweep(bundle: Bundle) -> Iterator[Sweep]:
    """Predict every face of an image of one size that has ever more of them."""
    predictor, most = LocalPredictor(bundle), _ROWS[-1] ** 2
    faces, _ = render_split("test", most, _TILE, workers=1)
    turns = {}
    for rows in _ROWS:
        image = jpeg(Image.fromarray(_group(faces, rows)))
        # A finder may miss one, or take two for one: the size is what was judged.
        found = len(predictor.predict(image, max_faces=most))
        turns[found] = _timed(partial(predictor.predict, image, max_faces=most))
    yield Sweep("faces", "bytes of a JPEG file to the answers of all its faces, faces", turns)


@contextmanager
def request_sweep(bundle: Bundle) -> Iterator[Sweep]:
    """Ask a server, over gRPC, for the face of ever more images at once.

    Raises:
        UnavailableError: there is no tritonserver, or no client of it.
    """
    (face,), _ = render_split("test", 1, _SIDES[1], workers=1)
    image = jpeg(Image.fromarray(face))
    # `find_server` says what is missing; the command that `triton` runs would say it in a log.
    with find_server(), triton(bundle.path) as server:
        turns = {count: partial(_ask_at_once, server.urls["grpc"], image, count) for count in _IN_FLIGHT}
        yield Sweep("requests", "a server's answers to all of several requests, requests at once", turns)


def _ask_at_once(url: str, image: bytes, count: int) -> float:
    async def seconds() -> float:
        async with AsyncClient(url) as client:
            start = time.perf_counter()
            await asyncio.gather(*(client.predict(image) for _ in range(count)))
            return time.perf_counter() - start

    return asyncio.run(seconds())


SWEEPS: Mapping[str, Callable[[Bundle], AbstractContextManager[Sweep]]] = {
    "batch": batch_sweep,
    "threads": thread_sweep,
    "pixels": pixel_sweep,
    "faces": face_sweep,
    "requests": request_sweep,
}


def _group(faces: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
    """Return an image of one size with ``rows`` times ``rows`` faces of one size on gray."""
    side = _ROWS[-1] * _TILE
    image = np.full((side, side, 3), 128, np.uint8)
    for number in range(rows * rows):
        top, left = (index * _TILE for index in divmod(number, rows))
        image[top : top + _TILE, left : left + _TILE] = faces[number]
    return image


def _noise(bundle: Bundle, count: int) -> NDArray[np.float32]:
    size = bundle.manifest.preprocessing.size
    return np.random.default_rng(0).standard_normal((count, 3, size, size), np.float32)


def _call(runner: Runner, faces: NDArray[np.float32]) -> Turn:
    return _timed(lambda: runner({INPUT_NAME: faces}))


def _timed(call: Callable[[], object]) -> Turn:
    def turn() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return turn
