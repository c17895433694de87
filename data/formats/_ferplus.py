"""FERPlus: FER2013's images with the votes of ten people each.

Source: Barsoum, Zhang, Canton Ferrer, Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lnlattennet.data._layout import Layout, refuse_with_counts, require_classes, require_images
from lnlattennet.data._pictures import PictureFiles
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._fer2013 import USAGES, csv_in
from lnlattennet.data.formats._fer2013_csv import PixelRows, Row, read_rows
from lnlattennet.data.formats._ferplus_votes import CLASS_NAMES, VotedRow, majority, read_labels, read_votes
from lnlattennet.errors import DataError

EXPECTED = """\
fer2013new.csv                     Usage, Image name, and the votes for neutral, ... contempt, unknown, NF
fer2013.csv                        the pixels, in the same order of rows
or, as the FERPlus scripts unpack it:
FER2013Train/label.csv             rows without header: name, the ten votes (an older copy has a box between)
FER2013Train/fer0000000.png        and the same in FER2013Valid/ and FER2013Test/"""

FOLDERS = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
_TITLE = "FERPlus"
_LABELS = "fer2013new.csv"


def detects(path: Path) -> bool:
    """Return whether there is the csv file of votes, or a folder of a split."""
    return (path / _LABELS).is_file() or any((path / folder).is_dir() for folder in FOLDERS)


def load(path: Path) -> FaceData:
    """Read the votes and keep the faces whose majority names an expression.

    Raises:
        DataError: a file or folder is missing, or the votes and the images do not belong together.
    """
    in_folders = any((path / folder).is_dir() for folder in FOLDERS)
    data = _from_folders(path) if in_folders else _from_csv(path)
    require_classes(path, _TITLE, data, EXPECTED, tuple(FOLDERS.values()))
    return data


def _from_folders(path: Path) -> FaceData:
    faces: list[Face] = []
    with refuse_with_counts(path, _TITLE, EXPECTED, CLASS_NAMES, faces):
        for folder, split in FOLDERS.items():
            if not (path / folder / "label.csv").is_file():
                raise DataError(f"{folder}/label.csv is missing")
            for name, votes in read_labels(path / folder / "label.csv"):
                faces.append(Face(f"{folder}/{name}", majority(votes), split))
    kept, notes = _kept(faces)
    data = FaceData("ferplus", path, CLASS_NAMES, kept, PictureFiles(path), notes)
    require_images(path, _TITLE, data, EXPECTED, "label.csv")
    return data


def _from_csv(path: Path) -> FaceData:
    voted: list[VotedRow] = []
    with refuse_with_counts(path, _TITLE, EXPECTED, CLASS_NAMES, map(_face, voted)):
        file = csv_in(path) if path.is_dir() else None
        if file is None or not (path / _LABELS).is_file():
            raise DataError(f"it needs {_LABELS} and fer2013.csv")
        # One by one, so that those before a broken row are there to be counted.
        for label in read_votes(path / _LABELS):
            voted.append(label)
        rows = list(read_rows(file))
        _check_same_rows(file, rows, voted)
    faces = [
        replace(_face(label), name=row.name(file))
        for row, label in zip(rows, voted, strict=True)
        if label.name
    ]
    kept, notes = _kept(faces)
    unnamed = len(rows) - len(faces)
    if unnamed:
        notes = (*notes, f"left out {unnamed:,} rows that have no image name")
    return FaceData("ferplus", path, CLASS_NAMES, kept, PixelRows.of(file, rows), notes)


def _face(label: VotedRow) -> Face:
    return Face(label.name, majority(label.votes), USAGES[label.usage])


def _check_same_rows(file: Path, rows: Sequence[Row], voted: Sequence[VotedRow]) -> None:
    if len(rows) != len(voted):
        raise DataError(
            f"{_LABELS} has {len(voted):,} rows and {file.name} has {len(rows):,}; both must have the same"
        )
    for row, label in zip(rows, voted, strict=True):
        if row.usage not in (None, label.usage):
            raise DataError(
                f"{row.name(file)} has Usage {row.usage} and {_LABELS} has {label.usage} in the same row; "
                "use both files as they were published, in their own order"
            )


def _kept(faces: Sequence[Face]) -> tuple[tuple[Face, ...], tuple[str, ...]]:
    """Return the faces with an expression, and a sentence on the others."""
    kept = tuple(face for face in faces if face.label < len(CLASS_NAMES))
    unknown = sum(face.label == len(CLASS_NAMES) for face in faces)
    no_face = len(faces) - len(kept) - unknown
    notes = []
    if unknown:
        notes.append(
            f"left out {unknown:,} images of unknown expression: no class has more than half of the votes"
        )
    if no_face:
        notes.append(f"left out {no_face:,} images that the majority calls no face (NF)")
    return kept, tuple(notes)


LAYOUTS = (
    Layout(
        name="ferplus",
        summary="FERPlus, majority of the votes, 8 classes",
        tree=EXPECTED,
        load=load,
        detects=detects,
    ),
)
