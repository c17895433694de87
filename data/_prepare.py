"""From a data set's images to prepared faces: the square that the network sees, at its size."""

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


def prepared_faces(data: FaceData, recipe: Preprocessing, workers: int = 1) -> Iterator[PreparedFaces]:
    """Give faces [n, S, S, 3] and labels [n] in the data set's order, ``CHUNK`` at a time.

    The center square of every image is resized by ``recipe``. Memory does not grow with the data set:
    at most ``2 * workers`` chunks wait.

    Args:
        data: what to read.
        recipe: the checkpoint's preprocessing; S is its size.
        workers: threads that decode.

    Raises:
        ImageError: an image cannot be read; it names the face.
    """
    chunks = (data.faces[start : start + CHUNK] for start in range(0, len(data), CHUNK))
    return bounded_map(partial(_prepare, data.read, recipe), chunks, workers)


def load_prepared(data: FaceData, recipe: Preprocessing, workers: int = 1) -> PreparedFaces:
    """Return all faces of ``data`` in memory, which takes ``3 * S * S`` bytes each (38 kB at 112).

    Raises:
        ImageError: an image cannot be read; it names the face.
    """
    faces = np.empty((len(data), recipe.size, recipe.size, 3), np.uint8)
    start = 0
    for chunk, _ in prepared_faces(data, recipe, workers):
        faces[start : start + len(chunk)] = chunk
        start += len(chunk)
    return faces, data.labels()


def _prepare(
    read: Callable[[Face], NDArray[np.uint8]], recipe: Preprocessing, faces: tuple[Face, ...]
) -> PreparedFaces:
    prepared = np.empty((len(faces), recipe.size, recipe.size, 3), np.uint8)
    for index, face in enumerate(faces):
        image = read(face)
        height, width, _ = image.shape
        prepared[index] = recipe.crop(image, center_square(width, height))
    return prepared, np.array([face.label for face in faces], np.int64)
