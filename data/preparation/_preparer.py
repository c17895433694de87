"""Preparation of one face from one image of a data set, as the server prepares a photograph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._files import first_few
from lnlattennet.data._records import ImageKind
from lnlattennet.data.preparation._known_faces import KnownFaces
from lnlattennet.images._decode import Detail
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.images.finders._base import FoundFace
from lnlattennet.images.finders._registry import finder_named
from lnlattennet.model._preprocessing import Preprocessing, center_square

Outcome = Literal["as_is", "found", "several", "none"]
"""The image itself; its only face; the largest of its faces; or the center square, as no face was found."""

CROP_SHARE = 0.7
"""An image whose short side is at most 1 / 0.7 times its face's box is a crop already."""


class FacePreparer:
    """Makes the face [S, S, 3] of an image; may be used by many threads.

    Args:
        preprocessing: recipe of the network: size, finder, margin and alignment.
        kind: what the images show.

    Attributes:
        enough: detail that images are to be read with, as ``FaceCropper`` reads them; None for all.

    Raises:
        UnavailableError: the package of the preprocessing's finder is missing or damaged.
    """

    def __init__(self, preprocessing: Preprocessing, kind: ImageKind) -> None:
        self._preprocessing = preprocessing
        self._kind = kind
        self.enough: Detail | None = None
        if kind != "crops":
            self._cropper = FaceCropper(preprocessing)
            self.enough = self._cropper.enough
            self._known = KnownFaces(
                preprocessing.face_finder,
                finder_named(preprocessing.face_finder).version(),
                exact_landmarks=self._cropper.aligned,
            )

    def __call__(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Outcome]:
        """Return the face of an RGB image [H, W, 3] of any size, and how it was made."""
        if self._kind == "crops":
            return self._square(image), "as_is"
        faces = self._known.get(image, lambda: self._cropper.find(image))
        if faces and self._kind == "mixed" and _fills(faces[0], image):
            return self._square(image), "as_is"
        outcome: Outcome = "none" if not faces else "found" if len(faces) == 1 else "several"
        return self._cropper.crop_largest(image, faces).face, outcome

    def _square(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, _ = image.shape
        return self._preprocessing.crop(image, center_square(width, height))


def _fills(face: FoundFace, image: NDArray[np.uint8]) -> bool:
    return face.size >= CROP_SHARE * min(image.shape[:2])


@dataclass
class PreparationReport:
    """How the faces of a data set were made, and of what images; it is filled while they are.

    Attributes:
        outcomes: number of faces by outcome.
        equalized: number of images with an equalized histogram.
        without_face: names of the images in which no face was found.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    equalized: int = 0
    without_face: list[str] = field(default_factory=list)

    def add(self, outcomes: Iterable[tuple[str, Outcome]], equalized: int = 0) -> None:
        """Count faces, given by name and outcome, of images of which ``equalized`` are equalized."""
        self.equalized += equalized
        for name, outcome in outcomes:
            self.outcomes[outcome] += 1
            if outcome == "none":
                self.without_face.append(name)

    def merge(self, other: PreparationReport) -> None:
        """Add the faces of another part of the data set."""
        self.outcomes.update(other.outcomes)
        self.equalized += other.equalized
        self.without_face += other.without_face

    def clear(self) -> None:
        """Forget everything, before faces are prepared once more."""
        self.outcomes.clear()
        self.equalized = 0
        self.without_face.clear()

    @property
    def how(self) -> Literal["as-is", "cropped", "mixed"]:
        """Whether images were taken as they are, searched for a face and cropped, or some of each."""
        if self.outcomes["as_is"] == self.outcomes.total():
            return "as-is"
        return "mixed" if self.outcomes["as_is"] else "cropped"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "faces": self.how,
            **{name: self.outcomes[name] for name in get_args(Outcome)},
        }

    @property
    def mostly_equalized(self) -> bool:
        """Whether more than half of the images are equalized; of photographs hardly any looks so."""
        return 2 * self.equalized > self.outcomes.total()

    def notes(self) -> tuple[str, ...]:
        """Return sentences on what was found where images were searched, and on equalized images."""
        return (*self._search_notes(), *self._equalization_notes())

    def _search_notes(self) -> tuple[str, ...]:
        if self.how == "as-is":
            return ()
        searched = self.outcomes.total() - self.outcomes["as_is"]
        notes = [
            f"faces were found in {searched - self.outcomes['none']:,} of {searched:,} images, several in "
            f"{self.outcomes['several']:,} of them (the largest counts)"
        ]
        if self.outcomes["as_is"]:
            notes.append(f"{self.outcomes['as_is']:,} images were taken as they are: the face fills them")
        if self.without_face:
            shown = first_few(self.without_face)
            notes.append(
                f"no face was found in {len(self.without_face):,} images, whose center square counts: {shown}"
            )
        return tuple(notes)

    def _equalization_notes(self) -> tuple[str, ...]:
        if not self.mostly_equalized:
            return ()
        return (
            f"{self.equalized:,} of {self.outcomes.total():,} images have an equalized histogram (about as "
            "many pixels of every gray level), and hardly any photograph has one: get the original images. A "
            "network trained on these answers differently on photographs, and one trained on photographs "
            "answers differently on these",
        )
