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
from lnlattennet.data.preparation._equalization import is_equalized
from lnlattennet.data.preparation._preparer import FacePreparer, Outcome, PreparationReport
from lnlattennet.errors import ImageError
from lnlattennet.model._preprocessing import Preprocessing

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
        shown: thumbnails per class, evenly spaced over its faces.
        preparation: how faces are made from the images, and how many of these are equalized.
        without_face: thumbnails of the first images in which no face was found.
    """

    data: FaceData
    sizes: NDArray[np.int64]
    unreadable: dict[str, str]
    copies: tuple[tuple[Face, ...], ...]
    shown: tuple[tuple[Thumbnail, ...], ...]
    preparation: PreparationReport
    without_face: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Thumbnail:
    """Face of an image, uint8 [96, 96, 3], and how it was made."""

    image: NDArray[np.uint8]
    outcome: Outcome


@dataclass(frozen=True)
class _Look:
    face: Face
    size: tuple[int, int] = (0, 0)
    digest: bytes = b""
    equalized: bool = False
    thumbnail: Thumbnail | None = None
    chosen: bool = False
    error: str = ""


def inspect_data(
    data: FaceData,
    workers: int = 1,
    progress: Callable[[int], object] = lambda done: None,
    preprocessing: Preprocessing = THUMBNAIL,
) -> Inspection:
    """Read every image once, with ``workers`` threads; memory holds digests and sizes, no images.

    ``progress`` is called with the number of images read since the last call. ``preprocessing``, of size 96,
    finds and crops the faces where the images are not face crops.

    Raises:
        UnavailableError: the package of the face finder is missing or damaged.
    """
    prepare = FacePreparer(preprocessing, data.image_kind)
    preparation = PreparationReport()
    without_face: list[Thumbnail] = []
    sizes: list[tuple[int, int]] = []
    unreadable: dict[str, str] = {}
    by_digest: dict[bytes, list[Face]] = defaultdict(list)
    shown: list[list[Thumbnail]] = [[] for _ in data.class_names]
    chunks = (data.faces[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    look_at = partial(_look_at, data, prepare, chosen_names(data))
    for looks in bounded_map(look_at, chunks, workers):
        for look in looks:
            if look.error:
                unreadable[look.face.name] = look.error
                continue
            sizes.append(look.size)
            by_digest[look.digest].append(look.face)
            outcome: Outcome = "as_is" if look.thumbnail is None else look.thumbnail.outcome
            preparation.add([(look.face.name, outcome)], look.equalized)
            if look.thumbnail is None:
                continue
            if look.chosen:
                shown[look.face.label].append(look.thumbnail)
            if look.thumbnail.outcome == "none" and len(without_face) < SHOWN_PER_CLASS:
                without_face.append(look.thumbnail)
        progress(len(looks))
    copies = tuple(tuple(group) for group in by_digest.values() if len(group) > 1)
    return Inspection(
        data,
        np.array(sizes, np.int64).reshape(-1, 2),
        unreadable,
        copies,
        tuple(map(tuple, shown)),
        preparation,
        tuple(without_face),
    )


def shared_subjects(data: FaceData) -> list[str]:
    """Return the subjects in more than one split: a leak from training into evaluation."""
    splits: dict[str, set[str | None]] = defaultdict(set)
    for face in data.faces:
        if face.subject is not None:
            splits[face.subject].add(face.split)
    return sorted(subject for subject, used in splits.items() if len(used) > 1)


def chosen_names(data: FaceData) -> frozenset[str]:
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
    data: FaceData, prepare: FacePreparer, chosen: frozenset[str], faces: Sequence[Face]
) -> list[_Look]:
    return [_look(data, prepare, face, face.name in chosen) for face in faces]


def _look(data: FaceData, prepare: FacePreparer, face: Face, chosen: bool) -> _Look:
    try:
        image = data.decode(face, prepare.enough)
    except ImageError as error:
        return _Look(face, error=str(error))
    thumbnail = Thumbnail(*prepare(image.pixels)) if chosen or data.image_kind != "crops" else None
    return _Look(
        face,
        (image.width, image.height),
        image_digest(image.pixels),
        is_equalized(image.pixels),
        thumbnail,
        chosen,
    )
