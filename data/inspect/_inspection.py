"""Inspection of every image of a data set: sizes, copies, damage, and a few faces to show."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._streaming import bounded_map
from lnlattennet.errors import ImageError
from lnlattennet.model._preprocessing import Preprocessing, center_square

SHOWN_PER_CLASS = 10
THUMBNAIL = Preprocessing(size=96)

_CHUNK = 64
_Copies = list[tuple[Face, ...]]


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

    def copies_across_splits(self) -> _Copies:
        """Return the groups of copies that lie in more than one split."""
        return [group for group in self.copies if len({face.split for face in group}) > 1]

    def copies_within_splits(self) -> _Copies:
        """Return the groups of copies that lie in one split."""
        return [group for group in self.copies if len({face.split for face in group}) == 1]

    def copies_with_other_labels(self) -> _Copies:
        """Return the groups of copies whose labels contradict each other."""
        return [group for group in self.copies if len({face.label for face in group}) > 1]


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
    """Read every image once; kept are a digest of its pixels and its size, so that memory stays small.

    Args:
        data: what to look at.
        workers: threads that decode.
        progress: called with the number of images read since the last call.
    """
    sizes: list[tuple[int, int]] = []
    unreadable: dict[str, str] = {}
    by_digest: dict[bytes, list[Face]] = defaultdict(list)
    shown: list[list[NDArray[np.uint8]]] = [[] for _ in data.class_names]
    chunks = (data.faces[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    look = partial(_look_at, data.read, _chosen(data))
    for looks in bounded_map(look, chunks, workers):
        for one in looks:
            if one.error:
                unreadable[one.face.name] = one.error
                continue
            sizes.append(one.size)
            by_digest[one.digest].append(one.face)
            if one.thumbnail is not None:
                shown[one.face.label].append(one.thumbnail)
        progress(len(looks))
    copies = tuple(tuple(group) for group in by_digest.values() if len(group) > 1)
    return Inspection(
        data, np.array(sizes, np.int64).reshape(-1, 2), unreadable, copies, tuple(map(tuple, shown))
    )


def shared_subjects(data: FaceData) -> list[str]:
    """Return the people who are in more than one split: a leak from training into evaluation."""
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


def _look_at(
    read: Callable[[Face], NDArray[np.uint8]], chosen: frozenset[str], faces: Sequence[Face]
) -> list[_Look]:
    return [_look(read, face, face.name in chosen) for face in faces]


def _look(read: Callable[[Face], NDArray[np.uint8]], face: Face, show: bool) -> _Look:
    try:
        image = read(face)
    except ImageError as error:
        return _Look(face, error=str(error))
    height, width, _ = image.shape
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(image.tobytes())
    thumbnail = THUMBNAIL.crop(image, center_square(width, height)) if show else None
    return _Look(face, (width, height), digest.digest(), thumbnail)
