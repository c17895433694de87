"""FERPlus: FER2013's images with the votes of ten people each; their majority decides, or their shares.

Source: Barsoum, Zhang, Canton Ferrer, Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._files import first_few, listing
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._label_table import Row, read_table, whole_number
from lnlattennet.data._records import Face, FaceData, Targets
from lnlattennet.data.formats._fer2013 import (
    FRAMINGS,
    LICENSE,
    USAGES,
    PixelRow,
    csv_in,
    pixel_reader,
    read_rows,
    usage_of,
)
from lnlattennet.errors import DataError
from lnlattennet.images._decode import FILE_SUFFIXES

CLASS_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""In the order of the columns; `unknown` and `NF` (no face) follow them."""

TREE = ExpectedTree(
    "FERPlus",
    """\
fer2013new.csv                     Usage, Image name, and the votes for neutral, ... contempt, unknown, NF
fer2013.csv                        the pixels, in the same order of rows
or, as the FERPlus scripts unpack it:
FER2013Train/label.csv             rows without header: name, the ten votes (an older copy has a box between)
FER2013Train/fer0000000.png        and the same in FER2013Valid/ and FER2013Test/""",
)

FOLDERS = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}
_LABELS = "fer2013new.csv"

UNKNOWN = len(CLASS_NAMES)
_CHOICES = UNKNOWN + 2
_COLUMNS = ("Usage", "Image name", *CLASS_NAMES, "unknown", "NF")
_VOTERS = 10
_LABEL_NOTE = (
    f"the votes are those of the folders' label.csv; {_LABELS} of a later release has other votes for 1,602 "
    "of the 35,710 images, and with them another majority for 378"
)
Votes = tuple[int, ...]


class _VotedRow(NamedTuple):
    """A voted image; an empty name means that it is not used."""

    usage: str
    name: str
    votes: Votes


def majority(votes: Votes) -> int:
    """Return what the votes [10] decide: a class, ``UNKNOWN``, or the number after it for no face.

    Single votes do not count; the winner needs more than half of the others.
    """
    counted = _counted(votes)
    winner = int(counted.argmax())
    return winner if 2 * counted[winner] > counted.sum() else UNKNOWN


def probabilities(votes: Votes) -> tuple[float, ...] | None:
    """Return the share of each class in the votes [10] for a class, sum 1; None if they decide nothing.

    Single votes do not count, as for the majority; the classes need more than half of the others together,
    or else most people saw no face or no expression.
    """
    counted = _counted(votes)
    classes = counted[:UNKNOWN]
    if 2 * classes.sum() <= counted.sum():
        return None
    return tuple((classes / classes.sum()).tolist())


def _counted(votes: Votes) -> NDArray[np.int64]:
    return np.where(np.array(votes) > 1, votes, 0)


def _read_votes(file: Path) -> Iterator[_VotedRow]:
    """Read fer2013new.csv; raises DataError for a header or a row that breaks the rules, by its line."""
    for row in read_table(file, _COLUMNS):
        usage = usage_of(row.values.get("Usage", ""))
        if usage is None or len(row.values) != len(_COLUMNS):
            raise _broken(file, row, f"a Usage ({', '.join(USAGES)}), a name and {_CHOICES} votes")
        yield _VotedRow(usage, row.values["Image name"], _votes(file, row))


def _read_labels(file: Path) -> Iterator[tuple[str, Votes]]:
    """Read a folder's label.csv, which is published without header.

    Older copies have the face's box after the name, copies of copies the rows' numbers before it.

    Raises:
        DataError: a header or a row that breaks the rules, by its line.
    """
    for row in read_table(file, _COLUMNS[1:]):
        if not row.named:
            row = row._replace(values=_by_position(row.fields))
        if not row.values.get("Image name") or len(row.fields) < 1 + _CHOICES:
            raise _broken(file, row, f"a name and {_CHOICES} votes")
        yield row.values["Image name"], _votes(file, row)


def _by_position(fields: Sequence[str]) -> dict[str, str]:
    """Return a row's name and votes by column; nothing where the votes are not what follows name and box."""
    at = next((index for index, field in enumerate(fields) if _is_image_name(field)), 0)
    votes = fields[at + 1 :]
    if len(votes) > _CHOICES and whole_number(votes[0]) is None:
        votes = votes[1:]  # without the box
    if len(votes) != _CHOICES:
        return {}
    return {"Image name": fields[at].strip()} | dict(zip(_COLUMNS[2:], votes, strict=True))


def _is_image_name(field: str) -> bool:
    return Path(field.strip()).suffix.lower() in FILE_SUFFIXES


def _votes(file: Path, row: Row) -> Votes:
    votes = [whole_number(row.values.get(name, "")) for name in _COLUMNS[2:]]
    if any(vote is None or vote < 0 for vote in votes):
        raise _broken(file, row, f"{_CHOICES} votes, whole numbers from 0")
    return tuple(vote for vote in votes if vote is not None)


def _broken(file: Path, row: Row, rule: str) -> DataError:
    return DataError(
        f"line {row.line} of {printable(file)} must have {rule}, got {','.join(row.fields)!r}; "
        "download it again"
    )


def detect(path: Path) -> bool:
    """Return whether there is the csv file of votes, or a folder of a split."""
    return (path / _LABELS).is_file() or _in_folders(path)


def load(path: Path, targets: Targets = "majority") -> FaceData:
    """Read the votes and keep the faces whose majority names an expression.

    With targets "probability", training keeps the faces of which ``probabilities`` makes a target.

    Raises:
        DataError: a file or folder is missing, or the votes and the images do not belong together.
    """
    if not _in_folders(path) and csv_in(path) is None:
        path = _root_in(path)
    data = _from_folders(path, targets) if _in_folders(path) else _from_csv(path, targets)
    TREE.require_classes(data, tuple(USAGES.values()))
    return data


def _in_folders(path: Path) -> bool:
    return any((path / folder).is_dir() for folder in FOLDERS)


def _roots_in(path: Path) -> list[Path]:
    """Return the folders in ``path`` that hold a split: copies have them in `data`, beside the votes."""
    return [path / name for name in listing(path).folders if _in_folders(path / name)]


def _root_in(path: Path) -> Path:
    roots = _roots_in(path) if path.is_dir() else []
    if len(roots) > 1:
        names = ", ".join(printable(root.name) for root in roots)
        raise TREE.error(path, f"several folders in it hold a FERPlus data set ({names}); give one of them")
    return roots[0] if roots else path


def _from_folders(path: Path, targets: Targets) -> FaceData:
    voted: list[_VotedRow] = []
    with TREE.count_on_error(path, CLASS_NAMES, map(_majority_face, voted)):
        for folder, usage in FOLDERS.items():
            if not (path / folder / "label.csv").is_file():
                raise DataError(f"{folder}/label.csv is missing")
            for name, votes in _read_labels(path / folder / "label.csv"):
                voted.append(_VotedRow(usage, f"{folder}/{name}", votes))
    kept, notes = _kept(voted, targets)
    notes = (*notes, _LABEL_NOTE, *_unlisted_notes(path, voted))
    undecided = tuple(face for face in _undecided(voted) if (path / face.name).is_file())
    data = FaceData("ferplus", path, CLASS_NAMES, kept, notes=notes, undecided=undecided)
    return TREE.with_images(data, "label.csv")


def _unlisted_notes(path: Path, voted: Sequence[_VotedRow]) -> Iterator[str]:
    """Yield a sentence for each folder with more images than its label.csv has rows: it may be cut off."""
    for folder, usage in FOLDERS.items():
        images, rows = len(listing(path / folder).images), sum(row.usage == usage for row in voted)
        if images > rows:
            yield f"left out {images - rows:,} of {folder}'s {images:,} images: label.csv has {rows:,} rows"


def _from_csv(path: Path, targets: Targets) -> FaceData:
    voted: list[_VotedRow] = []
    with TREE.count_on_error(path, CLASS_NAMES, map(_majority_face, voted)):
        file = csv_in(path) if path.is_dir() else None
        if file is None or not (path / _LABELS).is_file():
            raise DataError(f"it needs {_LABELS} and fer2013.csv")
        # One by one, so that those before a broken row are there to be counted.
        for label in _read_votes(path / _LABELS):
            voted.append(label)
        rows = list(read_rows(file))
        _check_same_rows(file, rows, voted)
    named = [
        label._replace(name=row.name(file)) for row, label in zip(rows, voted, strict=True) if label.name
    ]
    kept, notes = _kept(named, targets)
    notes = (*notes, f"the votes are those of {_LABELS}")
    unnamed = len(rows) - len(named)
    if unnamed:
        notes = (*notes, f"left out {unnamed:,} rows that have no image name")
    reader = pixel_reader(file, rows)
    return FaceData("ferplus", path, CLASS_NAMES, kept, reader, notes, undecided=_undecided(named))


def _undecided(rows: Sequence[_VotedRow]) -> tuple[Face, ...]:
    """Return the images of validation and test of which the votes make no face with an expression."""
    faces = map(_majority_face, rows)
    return tuple(face for face in faces if face.label >= UNKNOWN and face.split != "train")


def _majority_face(row: _VotedRow) -> Face:
    return Face(row.name, majority(row.votes), USAGES[row.usage])


def _probable_face(row: _VotedRow) -> Face:
    face = _majority_face(row)
    target = probabilities(row.votes)
    # The faces that a network is judged by stay those of the majority, which papers report.
    if face.split != "train" or target is None:
        return face
    return replace(face, label=int(np.argmax(target)), target=target)


def _check_same_rows(file: Path, rows: Sequence[PixelRow], voted: Sequence[_VotedRow]) -> None:
    if len(rows) != len(voted):
        raise DataError(
            f"{_LABELS} has {len(voted):,} rows and {file.name} has {len(rows):,}; both must have the same"
        )
    for row, label in zip(rows, voted, strict=True):
        if row.usage is not None and usage_of(row.usage) != label.usage:
            raise DataError(
                f"{row.name(file)} has Usage {row.usage} and {_LABELS} has {label.usage} in the same row; "
                "use both files as they were published, in their own order"
            )


def _kept(rows: Sequence[_VotedRow], targets: Targets) -> tuple[tuple[Face, ...], tuple[str, ...]]:
    """Return the faces with an expression, and sentences on the others and on their votes."""
    faces = list(map(_probable_face if targets == "probability" else _majority_face, rows))
    kept = tuple(face for face in faces if face.label < UNKNOWN)
    unknown = sum(face.label == UNKNOWN for face in faces)
    no_face = len(faces) - len(kept) - unknown
    notes = []
    if unknown:
        notes.append(
            f"left out {unknown:,} images of unknown expression: no class has more than half of the votes"
        )
    if no_face:
        notes.append(f"left out {no_face:,} images that the majority calls no face (NF)")
    if targets == "probability":
        notes += _vote_notes(rows, kept)
    return kept, tuple(notes)


def _vote_notes(rows: Sequence[_VotedRow], kept: Sequence[Face]) -> list[str]:
    soft = sum(face.target is not None for face in kept)
    extra = soft - sum(row.usage == "Training" and majority(row.votes) < UNKNOWN for row in rows)
    notes = [
        f"{soft:,} training faces have the shares of their votes as targets, {extra:,} of them without a "
        "majority; validation and test have those with a majority only"
    ]
    odd = [row.name for row in rows if sum(row.votes) != _VOTERS]
    if odd:
        notes.append(
            f"shares are of the votes that there are where these are not {_VOTERS}: {len(odd):,} of the "
            f"images, {first_few(odd)}"
        )
    return notes


FORMATS = (
    DatasetFormat(
        "ferplus",
        "FERPlus, majority of the votes, 8 classes",
        TREE,
        "crops",
        load,
        detect,
        framings=FRAMINGS,
        load_probability=partial(load, targets="probability"),
        license=LICENSE,
    ),
)
