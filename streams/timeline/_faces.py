"""Crops of faces from the files that were judged, for the page of one who asks for them."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import ImageError
from lnlattennet.images._read import read
from lnlattennet.model._preprocessing import Box
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.sources._video import is_video, video_frames
from lnlattennet.streams.timeline._person import Peak, Person, PersonFigures

FaceImage = tuple[int, Peak, str]
"""A class, where it was most probable, and the crop as a data URI."""

_SIDE = 112
_MOST_PERSONS = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wanted:
    person: Person
    label: int
    peak: Peak


def crop_faces(persons: Iterable[PersonFigures], folder: Path) -> Mapping[Person, list[FaceImage]]:
    """Return the face of each expression where it was most probable, of the persons that were seen longest.

    A source that is not there any more, or is no file, is left out with a warning.

    Args:
        persons: the longest seen first.
        folder: where a relative path is looked for too.
    """
    wanted: dict[str, list[_Wanted]] = {}
    for figures in list(persons)[:_MOST_PERSONS]:
        for label, peak in figures.peaks.items():
            wanted.setdefault(peak.source, []).append(_Wanted(figures.person, label, peak))
    found: dict[Person, list[FaceImage]] = {}
    for source, faces in wanted.items():
        path = next((path for path in (Path(source), folder / source) if path.is_file()), None)
        if path is None:
            _log.warning("%s is not there: the page shows no faces of it", source)
            continue
        for face, pixels, scale in _images(path, faces):
            image = _crop(pixels, face.peak.box, scale)
            found.setdefault(face.person, []).append((face.label, face.peak, image))
    return {person: sorted(images, key=lambda image: image[0]) for person, images in found.items()}


@dataclass(frozen=True)
class _These(Selection):
    """Selects frames by their numbers."""

    frames: frozenset[int | None] = frozenset()

    def holds(self, index: int, time: float) -> bool:
        return index in self.frames


def _images(path: Path, faces: list[_Wanted]) -> Iterator[tuple[_Wanted, NDArray[np.uint8], float]]:
    """Yield each face with the pixels of its image, and the side of the upright image for one of theirs."""
    if not is_video(str(path)):
        try:
            image = read(path)
        except ImageError as error:
            _log.warning("%s", error)
            return
        yield from ((face, image.pixels, image.scale) for face in faces)
        return
    last = max(face.peak.frame or 0 for face in faces)
    for frame in video_frames(str(path), _These(frames=frozenset(face.peak.frame for face in faces))):
        if isinstance(frame.image, np.ndarray):
            yield from ((face, frame.image, 1.0) for face in faces if face.peak.frame == frame.index)
        if frame.index is not None and frame.index >= last:
            return


def _crop(image: NDArray[np.uint8], box: Box, scale: float) -> str:
    """Return a crop as a JPEG data URI."""
    height, width, _ = image.shape
    left, top, right, bottom = (edge / scale for edge in box)
    left, right = (min(max(round(edge), 0), width) for edge in (left, right))
    top, bottom = (min(max(round(edge), 0), height) for edge in (top, bottom))
    crop = Image.fromarray(image[top : max(bottom, top + 1), left : max(right, left + 1)])
    crop.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    crop.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
