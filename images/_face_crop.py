"""Crops of the faces in an image, the same in a server and in this process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.images._alignment import align, crop_turned
from lnlattennet.images._batch import for_each
from lnlattennet.images._decode import DecodedImage, Detail
from lnlattennet.images._read import ImageSource, read
from lnlattennet.images.finders._base import FoundFace, Point
from lnlattennet.images.finders._registry import check_alignment, finder_named
from lnlattennet.model._preprocessing import Box, Preprocessing, center_square, square_box

_MOST_FACES = 2**31 - 1

FaceStatus = Literal["ok", "no_face", "too_small", "low_score"]
"""Whether a crop shows a sure face, none (it is the center square), one too small, or a doubtful one."""


@dataclass(frozen=True, kw_only=True)
class FaceLocation:
    """Where in an image a crop was taken, and why there.

    Attributes:
        box: the cropped square in pixels of the upright image; the center square if no face was found. Of an
            aligned face, whose crop is turned, the upright square of the same center and side.
        status: whether the crop shows a face.
        score: the finder's confidence, 0 to 1; 0 if no face was found, None if no finder looked.
        landmarks: eyes, nose tip and corners of the mouth in pixels of the image, as ``FoundFace`` orders
            them; None if no face was found or the finder has none.
    """

    box: Box
    status: FaceStatus
    score: float | None = None
    landmarks: tuple[Point, ...] | None = None

    @property
    def found(self) -> bool:
        """Whether a face was found; otherwise the box is the center square."""
        return self.status != "no_face"


@dataclass(frozen=True, kw_only=True)
class FaceCrop(FaceLocation):
    """One face of an image.

    Attributes:
        image: the upright RGB image, uint8 [H, W, 3]; at a reduced size if it is large.
        image_scale: pixels of the upright image for one of ``image``, on a side.
        face: its crop at the network's size, uint8 [S, S, 3].
    """

    image: NDArray[np.uint8]
    face: NDArray[np.uint8]
    image_scale: int = 1

    def without_image(self) -> FaceCrop:
        """Return the same without the pixels of ``image``, so that those of a batch are not held at once."""
        return replace(self, image=np.empty((0, 0, 3), np.uint8))


class FaceCropper:
    """Reads an image, finds its faces and crops to them; may be used by many threads.

    Attributes:
        enough: detail of an image from which no crop to its largest face, or to its center, is enlarged
            that the whole image would not enlarge; None if the finder does not tell.
        aligned: whether faces are turned by their landmarks, which are searched for more exactly then.

    Raises:
        ConfigError: faces are to be aligned, and the finder gives no landmarks.
        UnavailableError: the package of the preprocessing's face finder is missing or damaged.
        UsageError: there is no such finder.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        finder = finder_named(preprocessing.face_finder)
        check_alignment(finder.INFO, preprocessing.face_alignment)
        self._preprocessing = preprocessing
        self._sure_score = finder.INFO.sure_score
        self.enough = _enough(preprocessing, finder.INFO.smallest_face)
        self.aligned = preprocessing.face_alignment == "five-points"
        self._find_faces = partial(finder.create(), exact_landmarks=self.aligned)

    def __call__(self, source: ImageSource) -> FaceCrop:
        """Crop to the largest face in an image, or without one to its center square.

        Args:
            source: image of any form that ``read_image`` takes. The location is in pixels of its full size.

        Raises:
            ImageError: the image is damaged, unsupported or of a size that is refused.
        """
        image = read(source, self.enough)
        return _at_full_size(self.crop_largest(image.pixels, self.find(image.pixels)), image)

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        """Find the largest face in an RGB image [H, W, 3], and those that the search met before it."""
        return self._find_faces(image)

    def crop_largest(self, image: NDArray[np.uint8], faces: Sequence[FoundFace]) -> FaceCrop:
        """Crop to the first of the faces that ``find`` returned, or without one to the center square."""
        return self._crop_all(image, faces[:1])[0]

    def crop_faces(self, source: ImageSource, max_faces: int, min_face: float = 0) -> list[FaceCrop]:
        """Crop to every face in an image, largest first; without a face, to its center square alone.

        Args:
            source: image of any form that ``read_image`` takes. The location is in pixels of its full size.
            max_faces: return at most this many, at least 1.
            min_face: a face whose box is shorter than this many pixels, without margin, gets the status
                "too_small".

        Raises:
            ImageError: the image is damaged, unsupported or of a size that is refused.
            UsageError: ``max_faces`` or ``min_face`` is out of range.
        """
        check_face_limits(max_faces, min_face)
        image = read(source)
        faces = self._find_faces(image.pixels, all_sizes=True)[:max_faces]
        crops = self._crop_all(image.pixels, faces, min_face / image.scale)
        return [_at_full_size(crop, image) for crop in crops]

    def crop_batch(self, sources: Sequence[ImageSource]) -> list[FaceCrop]:
        """Crop to the largest face in every image.

        Raises:
            ImageError: an image is refused; the message starts with its index.
        """
        return for_each(sources, self)

    def crop_faces_batch(
        self, sources: Sequence[ImageSource], max_faces: int, min_face: float = 0
    ) -> list[list[FaceCrop]]:
        """Crop to every face in every image, as ``crop_faces`` does.

        Raises:
            ImageError: an image is refused; the message starts with its index.
            UsageError: ``max_faces`` or ``min_face`` is out of range.
        """
        return for_each(sources, lambda source: self.crop_faces(source, max_faces, min_face))

    def _crop_all(
        self, image: NDArray[np.uint8], faces: Sequence[FoundFace], min_face: float = 0
    ) -> list[FaceCrop]:
        if not faces:
            box = center_square(*image.shape[1::-1])
            pixels = self._preprocessing.crop(image, box)
            return [FaceCrop(image=image, face=pixels, box=box, status="no_face", score=0.0)]
        return [self._crop(image, face, min_face) for face in faces]

    def _crop(self, image: NDArray[np.uint8], face: FoundFace, min_face: float) -> FaceCrop:
        box, pixels = self._cut(image, face)
        return FaceCrop(
            image=image,
            face=pixels,
            box=box,
            status=self._status(face, min_face),
            score=face.score,
            landmarks=face.landmarks,
        )

    def _cut(self, image: NDArray[np.uint8], face: FoundFace) -> tuple[Box, NDArray[np.uint8]]:
        height, width = image.shape[:2]
        margin = self._preprocessing.face_margin
        if self.aligned and face.landmarks is not None:
            square = align(face.landmarks, margin)
            return square.box(width, height), crop_turned(self._preprocessing, image, square)
        box = square_box(face.box, margin, width, height)
        return box, self._preprocessing.crop(image, box)

    def _status(self, face: FoundFace, min_face: float) -> FaceStatus:
        if face.size < min_face:
            return "too_small"
        return "low_score" if face.score < self._sure_score else "ok"


def _enough(preprocessing: Preprocessing, smallest_face: float) -> Detail | None:
    if not smallest_face:
        return None
    crop = smallest_face * (1 + 2 * preprocessing.face_margin)
    return Detail(math.ceil(preprocessing.size / crop), preprocessing.size)


def _at_full_size(crop: FaceCrop, image: DecodedImage) -> FaceCrop:
    """Return the crop with its location in pixels of the full size."""
    scale = image.scale
    if scale == 1:
        return crop
    left, top, right, bottom = (scale * value for value in crop.box)
    # The last column of a reduced image may stand for fewer columns than the others.
    box = square_box((left, top, right, bottom), 0, image.width, image.height)
    landmarks = crop.landmarks and tuple((scale * x, scale * y) for x, y in crop.landmarks)
    return replace(crop, box=box, landmarks=landmarks, image_scale=scale)


def check_face_limits(max_faces: int | None, min_face: float) -> None:
    """Raise UsageError if a number of faces or a size in pixels is out of range, or has no effect."""
    if max_faces is not None and not isinstance(max_faces, Integral):
        raise UsageError(f"max_faces must be a whole number, got {max_faces!r}")
    if max_faces is not None and not 1 <= max_faces <= _MOST_FACES:
        raise UsageError(f"max_faces must be at least 1 and at most {_MOST_FACES}, got {max_faces}")
    if not (isinstance(min_face, Real) and 0 <= min_face < float("inf")):
        raise UsageError(f"min_face must be a size in pixels from 0, got {min_face}")
    if min_face and max_faces is None:
        raise UsageError(f"min_face {min_face:g} has no effect on the largest face alone: add max_faces")
