"""Records of a data set: labeled faces with split and subject; images are read when asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, with_config

from lnlattennet.data._files import read_decoded
from lnlattennet.images._decode import DecodedImage, Detail
from lnlattennet.model._preprocessing import FaceAlignment

SPLITS = ("train", "val", "test")

ImageKind = Literal["crops", "whole", "mixed"]
"""What images show: a face and little else, more, so that it must be found, or some of each."""

FacesOption = Literal["auto", "crop", "as-is"]
"""Value of ``--faces``: as the format says, find and crop every face, or take every image as it is."""

Targets = Literal["majority", "probability"]
"""What votes become: one label, or in training a probability of every class."""


@dataclass(frozen=True)
class Face:
    """One labeled image.

    Attributes:
        name: path relative to the data set (`test/happy/1.png`, `fer2013.csv:17`), for messages.
        label: index into the data set's class names.
        split: one of ``SPLITS``, or None where the data set has no official split.
        subject: name of the person, or None where the data set has none.
        target: probability of every class, in the order of the labels, or None where ``label`` is certain.
    """

    name: str
    label: int
    split: str | None = None
    subject: str | None = None
    target: tuple[float, ...] | None = None


# An entry of another version in a file of prepared faces may change what the others mean.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Framing:
    """What face crops show, as the crop that a server makes with this finder and margin.

    Attributes:
        finder: name of a face finder.
        margin: share of its box on each side (``Preprocessing.face_margin``).
        version: the finder's version; empty if the crops are not its own.
        alignment: how they are turned (``Preprocessing.face_alignment``).
    """

    finder: str
    margin: float
    version: str = ""
    alignment: FaceAlignment = "none"


@dataclass(frozen=True)
class FaceData:
    """A data set, or a part of one.

    Attributes:
        format: name of its format, one of ``FORMATS``.
        root: the folder or file that it was read from.
        class_names: expressions in the order of the labels.
        faces: its faces, in a fixed order.
        reader: decodes a face's image as ``decode`` does; None decodes the file ``root / name``.
        notes: sentences on what was left out, and why.
        image_kind: what its images show, which decides how faces are made from them.
        framings: how much around the face its crops show, as far as that is known.
        origin: format of the data set that prepared faces were made of; "" for other faces, or if unknown.
        undecided: images of validation and test that have no label here, but may be judged by others' labels.
    """

    format: str
    root: Path
    class_names: tuple[str, ...]
    faces: tuple[Face, ...]
    reader: Callable[[Face, Detail | None], DecodedImage] | None = None
    notes: tuple[str, ...] = ()
    image_kind: ImageKind = "crops"
    framings: tuple[Framing, ...] = ()
    origin: str = ""
    undecided: tuple[Face, ...] = ()

    def __len__(self) -> int:
        return len(self.faces)

    def labels(self) -> NDArray[np.int64]:
        """Return the labels, int64 [len]."""
        return np.array([face.label for face in self.faces], np.int64)

    def targets(self) -> NDArray[np.float32]:
        """Return every face's probabilities of the classes, float32 [len, classes]; 1 for a certain label."""
        certain = np.eye(len(self.class_names), dtype=np.float32)
        rows = [certain[face.label] if face.target is None else face.target for face in self.faces]
        return np.array(rows, np.float32).reshape(len(self), len(self.class_names))

    def select(self, indices: Sequence[int]) -> FaceData:
        """Return the data set with only these faces, in this order."""
        return replace(self, faces=tuple(self.faces[index] for index in indices))

    def split(self, name: str) -> FaceData:
        """Return the faces of one official split; empty if there are none."""
        return self.select([index for index, face in enumerate(self.faces) if face.split == name])

    def read(self, face: Face, enough: Detail | None = None) -> NDArray[np.uint8]:
        """Return a face's image, RGB uint8 [H, W, 3], as ``decode`` does."""
        return self.decode(face, enough).pixels

    def decode(self, face: Face, enough: Detail | None = None) -> DecodedImage:
        """Return a face's image and its full size; raises ImageError that names the face.

        Args:
            face: one of ``faces``.
            enough: detail that a JPEG file is decoded with; None for all.
        """
        return self.reader(face, enough) if self.reader else read_decoded(self.root / face.name, enough)

    def counts(self) -> dict[str | None, Counter[int]]:
        """Return split -> label -> number of faces."""
        return count_faces(self.faces)


def count_faces(faces: Iterable[Face]) -> dict[str | None, Counter[int]]:
    """Return split -> label -> number of faces."""
    counts: dict[str | None, Counter[int]] = {}
    for face in faces:
        counts.setdefault(face.split, Counter())[face.label] += 1
    return counts


def ordered_splits(splits: Iterable[str | None]) -> list[str | None]:
    """Return splits in their usual order: train, val, test, and faces without one last."""
    return sorted(splits, key=lambda split: SPLITS.index(split) if split else len(SPLITS))
