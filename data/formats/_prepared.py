"""Faces that `lnlattennet data prepare` wrote: class folders, and a file that says how they were made."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lnlattennet._command import printable
from lnlattennet._validation import first_problem
from lnlattennet.data._files import readable
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import FaceData, Framing
from lnlattennet.data.formats import _folder_tree
from lnlattennet.errors import DataError

INDEX = "prepared.json"
SHEET = "faces.png"

TREE = ExpectedTree(
    "prepared",
    f"""\
{INDEX}          how the faces were made, and whose they are
train/CLASS/*          and other splits, or CLASS/* without splits""",
)


class _Index(BaseModel):
    """Entries of the index that ``load`` reads; the others are for people.

    Attributes:
        framings: how the faces are framed.
        subjects: path of a face -> name of the person.
        format: format of the data set that they were made of.
    """

    framings: tuple[Framing, ...]
    subjects: dict[str, str]
    format: str = ""


def index_fields(framings: tuple[Framing, ...], subjects: dict[str, str]) -> dict[str, Any]:
    """Return the entries of the index that ``load`` reads; ``subjects`` are by the face's path."""
    return {"framings": [asdict(framing) for framing in framings], "subjects": subjects}


def detect(path: Path) -> bool:
    """Return whether there is the index."""
    return (path / INDEX).is_file()


def load(path: Path) -> FaceData:
    """Read class folders as the format ``folder`` does, with framing, subjects and origin of the index.

    Raises:
        DataError: the index or the folders are damaged.
    """
    data = _folder_tree.load(path, known={INDEX, SHEET})
    with readable(path / INDEX):
        content = (path / INDEX).read_bytes()
    try:
        index = _Index.model_validate_json(content)
    except ValidationError as error:
        raise DataError(
            f"{printable(path / INDEX)} is damaged ({first_problem(error)}): prepare the data set again, or "
            "read its folders with --format folder"
        ) from error
    faces = tuple(replace(face, subject=index.subjects.get(face.name)) for face in data.faces)
    return replace(data, format="prepared", faces=faces, framings=index.framings, origin=index.format)


FORMATS = (DatasetFormat("prepared", "faces that `data prepare` wrote", TREE, "crops", load, detect),)
