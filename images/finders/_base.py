"""Interface of a finder module: ``FinderModule`` lists its names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnlattennet.model._preprocessing import Box

Point = tuple[float, float]
"""Column and row in pixels of the upright image; pixel (0, 0) has its center at (0.5, 0.5)."""


@dataclass(frozen=True)
class FoundFace:
    """A face that a finder reports.

    Attributes:
        box: the face in pixels of the upright image, as the finder draws it: not squared, without margin,
            and it may reach beyond the image.
        score: the finder's confidence, 0 to 1; each finder's scale is its own.
        landmarks: left eye, right eye, nose tip, left and right corner of the mouth, as the viewer sees them;
            None if the finder has none.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] | None = None

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


@dataclass(frozen=True, kw_only=True)
class FinderInfo:
    """Facts about a finder that hold on every machine; reading them imports no package.

    Attributes:
        name: as in checkpoints (``Preprocessing.face_finder``).
        summary: what it is, in one line.
        package: Python package that brings it.
        extra: extra of this package that installs it; None if every installation has it.
        code_license: license of its code.
        weights_license: license of its trained weights.
        training_data: the images that it was trained on, as far as its authors say.
        has_landmarks: whether a face has landmarks.
        sure_score: score below which a face is reported as doubtful ("low_score").
        smallest_face: smallest box that a search for the largest face finds, as a share of the image's longer
            side; 0 if unknown.
    """

    name: str
    summary: str
    package: str
    extra: str | None
    code_license: str
    weights_license: str
    training_data: str
    has_landmarks: bool
    sure_score: float
    smallest_face: float = 0


class FaceFinder(Protocol):
    """A finder that is ready to search; it may be used by many threads."""

    def __call__(
        self, image: NDArray[np.uint8], *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        """Find the faces in an RGB image [H, W, 3], largest first.

        Args:
            image: the upright image, of any size from 1 x 1; it is left as it is.
            all_sizes: search for every face. Otherwise the search, from large faces to small ones, ends with
                the first pass that found any, which is enough where only the largest is wanted.
            exact_landmarks: take the time to place landmarks well enough to align by them.
        """
        ...


class FinderModule(Protocol):
    """Names of a finder module."""

    @property
    def INFO(self) -> FinderInfo:  # noqa: N802  (a module's constant)
        """Facts about the finder that hold on every machine."""
        ...

    def version(self) -> str:
        """Return the version of what finds the faces, recorded in checkpoints.

        Raises:
            UnavailableError: its package is missing.
        """
        ...

    def create(self) -> FaceFinder:
        """Load the finder.

        Raises:
            UnavailableError: its package or a file of it is missing or damaged; names the extra.
        """
        ...


def merge_passes(
    coarse: Sequence[FoundFace], fine: Sequence[FoundFace], sure_score: float
) -> list[FoundFace]:
    """Return the faces of two passes, largest first.

    A face that both found keeps the coarse pass's box, and its score from ``sure_score`` on, so that neither
    depends on how many passes were made. A doubtful face gets the higher score.
    """
    faces = []
    for known in coarse:
        scores = [face.score for face in fine if _same_face(face, known)]
        score = known.score if known.score >= sure_score else max([known.score, *scores])
        faces.append(dataclasses.replace(known, score=score))
    faces += [face for face in fine if not any(_same_face(face, known) for known in coarse)]
    return sorted(faces, key=lambda face: -face.size)


def _same_face(face: FoundFace, known: FoundFace) -> bool:
    """Tell whether the center of either box lies in the other: the boxes of two passes differ in size."""
    return _holds_center(face.box, known.box) or _holds_center(known.box, face.box)


def _holds_center(box: Box, other: Box) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]
