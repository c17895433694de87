"""Inspection of every image of a data set: sizes, copies, damage, and a few faces to show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._duplicates import image_digest
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._streaming import bounded_map
from lnlattennet.errors import ImageError
from lnlattennet.model._preprocessing import Preprocessing, center_square

SHOWN_PER_CLASS = 10
THUMBNAIL = Preprocessing(size=96)

_CHUNK = 64


@dataclass(frozen=True)
class Inspection:
    """Findings of an inspection.

    Attributes:
        data: the data set.
        sizes: width and height of every readable image, int64 [n, 2].
        unreadable: face name -> what is wrong with its image.
        copies: groups of faces with the very same pixels, two or more each.
        shown: thumbnails uint8 [96, 96, 3] per class, evenly spaced over its faces.
    """

    data: FaceData
    sizes: NDArray[np.int64]
    unreadable: dict[str, str]
    copies: tuple[tuple[Face, ...], ...]
    shown: tuple[tuple[NDArray[np.uint8], ...], ...]


@dataclass(frozen=True)
class _Look:
    face: Face
    size: tuple[int, int] = (0, 0)
    digest: bytes = b""
    thumbnail: NDArray[np.uint8] | None = None
    error: str = ""


def inspect_data(
    data: FaceData, workers: int = 1, progress: Callable[[int], object] = lambda done: None
) -> Inspection:
    """Read every image once, with ``workers`` threads; memory holds digests and sizes, no images.

    ``progress`` is called with the number of images read since the last call.
    """
    sizes: list[tuple[int, int]] = []
    unreadable: dict[str, str] = {}
    by_digest: dict[bytes, list[Face]] = defaultdict(list)
    shown: list[list[NDArray[np.uint8]]] = [[] for _ in data.class_names]
    chunks = (data.faces[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    for looks in bounded_map(partial(_look_at, data, _chosen(data)), chunks, workers):
        for look in looks:
            if look.error:
                unreadable[look.face.name] = look.error
                continue
            sizes.append(look.size)
            by_digest[look.digest].append(look.face)
            if look.thumbnail is not None:
                shown[look.face.label].append(look.thumbnail)
        progress(len(looks))
    copies = tuple(tuple(group) for group in by_digest.values() if len(group) > 1)
    return Inspection(
        data, np.array(sizes, np.int64).reshape(-1, 2), unreadable, copies, tuple(map(tuple, shown))
    )


def shared_subjects(data: FaceData) -> list[str]:
    """Return the subjects in more than one split: a leak from training into evaluation."""
    splits: dict[str, set[str | None]] = defaultdict(set)
    for face in data.faces:
        if face.subject is not None:
            splits[face.subject].add(face.split)
    return sorted(subject for subject, used in splits.items() if len(used) > 1)


def _chosen(data: FaceData) -> frozenset[str]:
    """Return the names of the faces to show: evenly spaced over every class."""
    names: list[list[str]] = [[] for _ in data.class_names]
    for face in data.faces:
        names[face.label].append(face.name)
    return frozenset(
        of_class[index * len(of_class) // SHOWN_PER_CLASS]
        for of_class in names
        if of_class
        for index in range(SHOWN_PER_CLASS)
    )


def _look_at(data: FaceData, chosen: frozenset[str], faces: Sequence[Face]) -> list[_Look]:
    return [_look(data, face, face.name in chosen) for face in faces]


def _look(data: FaceData, face: Face, show: bool) -> _Look:
    try:
        image = data.read(face)
    except ImageError as error:
        return _Look(face, error=str(error))
    height, width, _ = image.shape
    thumbnail = THUMBNAIL.crop(image, center_square(width, height)) if show else None
    return _Look(face, (width, height), image_digest(image), thumbnail)
