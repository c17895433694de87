"""A bundle on all cores of this machine: one process a core, each with an engine of one thread.

Finding a face takes most of an image's time and runs on one core, as does reading it: processes keep all
cores at it. An engine that judges the faces of eight images at once takes three quarters of the time that it
takes for each alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction, save_overlays
from lnlattennet.errors import EngineOutputError, ImageError, LnlAttenNetError
from lnlattennet.images._face_crop import FaceCrop
from lnlattennet.images._read import ImageSource
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.streams._answers import Answer, Task, batched, in_order
from lnlattennet.streams._content import read_content
from lnlattennet.streams._rows import Model
from lnlattennet.streams._shared_pixels import SentTask, SharedPixels

BATCH = 8
"""Frames that are judged together. Beyond eight, the engine gains nothing."""


@dataclass(frozen=True)
class Faces:
    """Which faces of an image are judged.

    Attributes:
        most: as many, largest first; None for the largest alone.
        smallest: pixels below which a face gets the status "too_small".
    """

    most: int | None = None
    smallest: float = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """What changes rows, as a table records it."""
        return {"max_faces": self.most, "min_face": self.smallest}


class LocalFramePredictor:
    """Predicts frames by a bundle's engine; a context manager that ends its processes.

    Args:
        bundle: folder of the bundle.
        engine: name of its engine; None takes the selected one, "any" one that runs here.
        faces: which faces are judged.
        batch: frames that a process is given at a time; 1 answers a camera soonest.

    Raises:
        BundleError: there is no bundle, a file in it was changed, or it has no engine of that name.
    """

    def __init__(
        self, bundle: Path, engine: str | None = None, faces: Faces | None = None, batch: int = BATCH
    ) -> None:
        self._bundle = Bundle.load(bundle)
        self._engine = self._bundle.engine_name(engine, threads=1)
        self._faces = faces or Faces()
        self._batch = batch
        self._pool: ProcessPoolExecutor | None = None
        self.model = Model.of(self._bundle, self._engine)

    def __call__(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer, in order.

        Raises:
            LnlAttenNetError: the engine cannot be loaded, or a process ended.
        """
        tasks = iter(tasks)
        # To start processes takes longer than a few images do.
        first = list(islice(tasks, 2 * self._batch + 1))
        if len(first) <= 2 * self._batch or usable_cpus() == 1:
            worker = Worker(self._bundle, self._engine, self._faces)
            for batch in batched(chain(first, tasks), self._batch):
                yield from zip(batch, worker(batch), strict=True)
            return
        processes, context = usable_cpus(), multiprocessing.get_context("forkserver")
        # The server of processes imports once what each of them needs.
        context.set_forkserver_preload([__name__, "cv2"])
        # Single frames are those of a camera: what waits in line is old when it is judged.
        in_flight = processes if self._batch == 1 else 3 * processes
        pixels = SharedPixels.for_tasks(first, in_flight, self._batch)
        pool = self._pool = ProcessPoolExecutor(
            processes,
            context,
            initializer=_start,
            initargs=(self._bundle.path, self._engine, self._faces, pixels),
        )
        # Through an iterator, and no name: their pixels need not stay until the end.
        batches = batched(chain(iter(first), tasks), self._batch)
        del first
        try:
            yield from in_order(lambda batch: pool.submit(_answer, pixels.send(batch)), batches, in_flight)
        except BrokenProcessPool as error:
            raise LnlAttenNetError(
                "a process that judges images was ended, perhaps because memory ran out: go on with fewer "
                "of them, by LNLATTENNET_THREADS"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class Worker:
    """Answers batches by an engine of one thread."""

    def __init__(self, bundle: Bundle, engine: str, faces: Faces) -> None:
        self._predictor = LocalPredictor(bundle, engine, threads=1)
        self._faces = faces

    def __call__(self, tasks: Sequence[Task]) -> list[Answer]:
        contents = [read_content(task.frame) for task in tasks]
        found = [content if isinstance(content, str) else self._find(content) for content in contents]
        crops = [crop for faces in found if not isinstance(faces, str) for crop in faces]
        try:
            predictions = iter(self._predictor.predict_found(crops, images=False))
        except EngineOutputError as error:
            if len(tasks) > 1:
                return [answer for task in tasks for answer in self([task])]
            return [Answer(error=str(error))]
        return [
            Answer(error=faces)
            if isinstance(faces, str)
            else _drawn(tuple(islice(predictions, len(faces))), task.overlay, content)
            for task, content, faces in zip(tasks, contents, found, strict=True)
        ]

    def _find(self, image: ImageSource) -> list[FaceCrop] | str:
        """Return the faces, without the images that they are cropped from, or why there are none."""
        try:
            crops = self._predictor.find(image, self._faces.most, self._faces.smallest)
        except ImageError as error:
            return str(error)
        return [crop.without_image() for crop in crops]


def _drawn(predictions: tuple[Prediction, ...], overlay: Path | None, image: ImageSource) -> Answer:
    return Answer(predictions, overlay_error=draw_overlay(predictions, overlay, image))


def draw_overlay(predictions: Sequence[Prediction], overlay: Path | None, image: ImageSource) -> str:
    """Write the overlay of an image, if there is a path for it; return why it cannot be written, or ""."""
    if overlay is None:
        return ""
    try:
        overlay.parent.mkdir(parents=True, exist_ok=True)
        save_overlays(predictions, overlay, image)
    except OSError as error:
        return f"cannot write its overlay: {error.strerror}"
    return ""


_state: list[tuple[Worker | LnlAttenNetError, SharedPixels]] = []
"""The worker of this process, or why there is none, and where pixels come from."""


def _start(bundle: Path, engine: str, faces: Faces, pixels: SharedPixels) -> None:
    """Prepare a process of the pool; an error is told by its first answer."""
    # Ctrl-C goes to every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    try:
        _state.append((Worker(Bundle.load(bundle), engine, faces), pixels))
    except LnlAttenNetError as error:
        _state.append((error, pixels))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it cannot say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(sent: Sequence[SentTask]) -> list[Answer]:
    ((worker, pixels),) = _state
    if isinstance(worker, LnlAttenNetError):
        raise worker
    return worker(pixels.receive(sent))
