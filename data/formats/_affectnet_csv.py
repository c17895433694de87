"""AffectNet's csv release: two lists, and large photographs in which a box marks the face."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._files import readable
from lnlattennet.data._pictures import read_picture
from lnlattennet.data._records import Face
from lnlattennet.errors import DataError, ImageError

LISTS = "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated_Images"
SPLITS = {"train": f"{LISTS}/training.csv", "val": f"{LISTS}/validation.csv"}
MOST_CODE = 10

_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
_BOX = _COLUMNS[1:5]
_NEEDED = (_COLUMNS[0], *_BOX, "expression")
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


@dataclass(frozen=True, slots=True)
class ListedFace:
    """A row of a list; ``box`` is None where the numbers give none."""

    name: str
    split: str
    code: int
    box: Box | None


@dataclass(frozen=True)
class BoxedFiles:
    """Reads the face out of a photograph: the part of its box that lies in the image."""

    root: Path
    boxes: dict[str, Box]

    def __call__(self, face: Face) -> NDArray[np.uint8]:
        """Return RGB uint8 [H, W, 3]; raises ImageError that names the face."""
        image = read_picture(self.root / face.name)
        height, width, _ = image.shape
        left, top, right, bottom = self.boxes[face.name]
        crop = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if not crop.size:
            raise ImageError(
                f"{face.name}: the face's box {self.boxes[face.name]} lies outside the image of "
                f"{width} x {height} pixels; unpack lists and images of the same release"
            )
        return np.ascontiguousarray(crop)


def read_lists(path: Path) -> Iterator[ListedFace]:
    """Read both lists; a first row of column names may be missing.

    Raises:
        DataError: a list is missing, or a row breaks the rules, by its line.
    """
    for split, name in SPLITS.items():
        file = path / name
        if not file.is_file():
            raise DataError(f"{name} is missing")
        with readable(file), file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            columns: tuple[str, ...] = _COLUMNS
            for line, fields in enumerate(csv.reader(stream), start=1):
                if line == 1 and fields and fields[0].strip() == _COLUMNS[0]:
                    columns = tuple(field.strip() for field in fields)
                elif fields:
                    yield _listed(f"line {line} of {printable(file)}", split, columns, fields)


def _listed(place: str, split: str, columns: tuple[str, ...], fields: list[str]) -> ListedFace:
    values = dict(zip(columns, (field.strip() for field in fields), strict=False))
    absent = [name for name in _NEEDED if name not in values]
    if absent:
        raise DataError(f"{place} has no column {absent[0]}; the columns must be {', '.join(_COLUMNS)}")
    code = values["expression"]
    if not code.isdecimal() or int(code) > MOST_CODE:
        raise DataError(f"{place}: expression must be from 0 to {MOST_CODE}, got {code!r}; download it again")
    name = f"{IMAGES}/{values['subDirectory_filePath']}"
    return ListedFace(name, split, int(code), _box([values[column] for column in _BOX]))


def _box(texts: list[str]) -> Box | None:
    try:
        left, top, width, height = (float(text) for text in texts)
    except ValueError:
        return None
    if not all(map(math.isfinite, (left, top, width, height))) or min(width, height) < 1:
        return None
    return (round(left), round(top), round(left + width), round(top + height))
