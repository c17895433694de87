"""Faces that `lnlattennet data prepare` wrote: class folders, and a file that says how they were made."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lnlattennet._command import printable
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
        text = (path / INDEX).read_text(encoding="utf-8")
    try:
        index = json.loads(text)
        framings = tuple(Framing(**fields) for fields in index["framings"])
        faces = tuple(replace(face, subject=index["subjects"].get(face.name)) for face in data.faces)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{printable(path / INDEX)} is damaged ({error!r}): prepare the data set again, or read its "
            "folders with --format folder"
        ) from error
    return replace(
        data, format="prepared", faces=faces, framings=framings, origin=str(index.get("format", ""))
    )


FORMATS = (DatasetFormat("prepared", "faces that `data prepare` wrote", TREE, "crops", load, detect),)
