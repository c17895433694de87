"""Prepared faces of a data set: the face of every image, at the network's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._streaming import bounded_map
from lnlattennet.data.preparation._equalization import is_equalized
from lnlattennet.data.preparation._preparer import FacePreparer, Outcome, PreparationReport
from lnlattennet.model._preprocessing import Preprocessing

CHUNK = 64
"""Faces per piece of ``prepared_faces``."""

PreparedFaces = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""RGB faces uint8 [n, S, S, 3] and labels int64 [n]."""


def prepared_faces(
    data: FaceData,
    preprocessing: Preprocessing,
    workers: int = 1,
    report: PreparationReport | None = None,
) -> Iterator[PreparedFaces]:
    """Yield faces [n, S, S, 3] and labels [n] in the data set's order, ``CHUNK`` at a time.

    Of face crops (``data.image_kind``) the center square is resized by ``preprocessing``; in other images its
    finder finds the face, as in a server, and the center square is taken where there is none. Memory does not
    grow with the data set: at most ``2 * workers`` chunks wait.

    Args:
        data: faces to read.
        preprocessing: the checkpoint's preprocessing; S is its size.
        workers: threads that decode and find.
        report: is told how every face was made.

    Raises:
        ImageError: an image cannot be read; it names the face.
        UnavailableError: the package of the face finder is missing or damaged.
    """
    report = PreparationReport() if report is None else report
    chunks = [data.faces[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    preparer = FacePreparer(preprocessing, data.image_kind)
    read = partial(data.read, enough=preparer.enough)
    prepare = partial(_prepare, read, preparer, preprocessing.size)
    prepared = bounded_map(prepare, chunks, workers)
    for faces, (images, outcomes, equalized) in zip(chunks, prepared, strict=True):
        report.add(zip((face.name for face in faces), outcomes, strict=True), equalized)
        yield images, np.array([face.label for face in faces], np.int64)


def load_prepared(
    data: FaceData,
    preprocessing: Preprocessing,
    workers: int = 1,
    report: PreparationReport | None = None,
) -> PreparedFaces:
    """Return all faces of ``data`` in memory, which takes ``3 * S * S`` bytes each (38 kB at 112).

    Raises:
        ImageError, UnavailableError: see ``prepared_faces``.
    """
    faces = np.empty((len(data), preprocessing.size, preprocessing.size, 3), np.uint8)
    fill_prepared(faces, data, preprocessing, workers, report=report)
    return faces, data.labels()


def fill_prepared(
    out: NDArray[np.uint8],
    data: FaceData,
    preprocessing: Preprocessing,
    workers: int = 1,
    progress: Callable[[int], object] = lambda count: None,
    report: PreparationReport | None = None,
) -> None:
    """Write all faces of ``data`` to ``out``, uint8 [len(data), S, S, 3].

    ``progress`` is called with the number of faces written since the last call.

    Raises:
        ImageError, UnavailableError: see ``prepared_faces``.
    """
    start = 0
    for chunk, _ in prepared_faces(data, preprocessing, workers, report):
        out[start : start + len(chunk)] = chunk
        start += len(chunk)
        progress(len(chunk))


def _prepare(
    read: Callable[[Face], NDArray[np.uint8]], prepare: FacePreparer, size: int, faces: tuple[Face, ...]
) -> tuple[NDArray[np.uint8], list[Outcome], int]:
    images = np.empty((len(faces), size, size, 3), np.uint8)
    outcomes: list[Outcome] = []
    equalized = 0
    for index, face in enumerate(faces):
        image = read(face)
        images[index], outcome = prepare(image)
        outcomes.append(outcome)
        equalized += is_equalized(image)
    return images, outcomes, equalized
