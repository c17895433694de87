"""Prepared faces of a data set: the center square of every image, at the network's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._streaming import bounded_map
from lnlattennet.model._preprocessing import Preprocessing, center_square

CHUNK = 64
"""Faces per piece of ``prepared_faces``."""

PreparedFaces = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""RGB faces uint8 [n, S, S, 3] and labels int64 [n]."""


def prepared_faces(data: FaceData, preprocessing: Preprocessing, workers: int = 1) -> Iterator[PreparedFaces]:
    """Yield faces [n, S, S, 3] and labels [n] in the data set's order, ``CHUNK`` at a time.

    The center square of every image is resized by ``preprocessing``. Memory does not grow with the data set:
    at most ``2 * workers`` chunks wait.

    Args:
        data: faces to read.
        preprocessing: the checkpoint's preprocessing; S is its size.
        workers: threads that decode.

    Raises:
        ImageError: an image cannot be read; it names the face.
    """
    chunks = (data.faces[start : start + CHUNK] for start in range(0, len(data), CHUNK))
    return bounded_map(partial(_prepare, data.read, preprocessing), chunks, workers)


def load_prepared(data: FaceData, preprocessing: Preprocessing, workers: int = 1) -> PreparedFaces:
    """Return all faces of ``data`` in memory, which takes ``3 * S * S`` bytes each (38 kB at 112).

    Raises:
        ImageError: an image cannot be read; it names the face.
    """
    faces = np.empty((len(data), preprocessing.size, preprocessing.size, 3), np.uint8)
    fill_prepared(faces, data, preprocessing, workers)
    return faces, data.labels()


def fill_prepared(
    out: NDArray[np.uint8],
    data: FaceData,
    preprocessing: Preprocessing,
    workers: int = 1,
    progress: Callable[[int], object] = lambda count: None,
) -> None:
    """Write all faces of ``data`` to ``out``, uint8 [len(data), S, S, 3].

    ``progress`` is called with the number of faces written since the last call.

    Raises:
        ImageError: an image cannot be read; it names the face.
    """
    start = 0
    for chunk, _ in prepared_faces(data, preprocessing, workers):
        out[start : start + len(chunk)] = chunk
        start += len(chunk)
        progress(len(chunk))


def _prepare(
    read: Callable[[Face], NDArray[np.uint8]], preprocessing: Preprocessing, faces: tuple[Face, ...]
) -> PreparedFaces:
    prepared = np.empty((len(faces), preprocessing.size, preprocessing.size, 3), np.uint8)
    for index, face in enumerate(faces):
        image = read(face)
        height, width, _ = image.shape
        prepared[index] = preprocessing.crop(image, center_square(width, height))
    return prepared, np.array([face.label for face in faces], np.int64)
