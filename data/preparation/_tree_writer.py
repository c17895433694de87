"""Folder of prepared faces: a data set's faces as a network takes them, which the format `prepared` reads."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from lnlattennet._command import printable
from lnlattennet.data._files import is_system_entry
from lnlattennet.data._prepare import prepared_faces
from lnlattennet.data._records import FaceData, Framing
from lnlattennet.data.formats._class_folders import SPLIT_NAMES
from lnlattennet.data.formats._prepared import INDEX, index_fields
from lnlattennet.data.preparation._framing import framing_notes
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.errors import DataError
from lnlattennet.images._decode import FILE_SUFFIXES
from lnlattennet.model._preprocessing import Preprocessing

_LONGEST_STEM = 240
"""Bytes of a file's name before its number and ending; file systems take 255 in all."""


@dataclass(frozen=True)
class PreparedTree:
    """What was written.

    Attributes:
        paths: the faces' paths in the folder, in the order of the data set.
        report: how the faces were made.
        document: content of the index, as plain JSON values.
    """

    paths: tuple[str, ...]
    report: PreparationReport
    document: dict[str, Any]


def write_prepared(
    data: FaceData,
    preprocessing: Preprocessing,
    folder: Path,
    workers: int = 1,
    progress: Callable[[int], object] = lambda count: None,
) -> PreparedTree:
    """Write every face of ``data``, S x S pixels, to `[SPLIT/]CLASS/NAME.png`, and an index.

    Raises:
        DataError: a class's name cannot be the name of its folder.
        ImageError: an image cannot be read; it names the face.
        UnavailableError: the package of the face finder is missing or damaged.
    """
    paths = _paths(data)
    for parent in {(folder / path).parent for path in paths}:
        parent.mkdir(parents=True)
    report = PreparationReport()
    remaining = iter(paths)
    for faces, _ in prepared_faces(data, preprocessing, workers, report):
        for face in faces:
            Image.fromarray(face).save(folder / next(remaining), "PNG")
        progress(len(faces))
    document = _document(data, preprocessing, report, paths)
    (folder / INDEX).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return PreparedTree(paths, report, document)


def _paths(data: FaceData) -> tuple[str, ...]:
    """Return a path for each face that no other has, also where the file system ignores case."""
    _check_class_names(data)
    paths: list[str] = []
    used: set[str] = set()
    for face in data.faces:
        folder = f"{face.split}/" if face.split else ""
        stem = _cut(re.sub(r"[/\\:]", "_", _without_image_suffix(face.name)))
        path = f"{folder}{data.class_names[face.label]}/{stem}.png"
        number = 2
        while path.casefold() in used:
            path = f"{folder}{data.class_names[face.label]}/{stem}-{number}.png"
            number += 1
        used.add(path.casefold())
        paths.append(path)
    return tuple(paths)


def _without_image_suffix(name: str) -> str:
    """Return a face's name without the ending of its file; that of `fer2013.csv:17` has none."""
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in FILE_SUFFIXES else name


def _cut(stem: str) -> str:
    """Return as much of a name as fits a file's, with a number and an ending: folders before it add up."""
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    return stem


def _check_class_names(data: FaceData) -> None:
    """Raise if a class has no folder of its name: a shard's classes are any text, also `../x`."""
    for name in data.class_names:
        if re.search(r"[/\\\0]", name) or is_system_entry(name) or name.lower() in SPLIT_NAMES:
            raise DataError(
                f"{printable(data.root)}: faces are written to a folder of their class, and {name!a} cannot "
                "name one: a class's name must not hold / or \\, begin with a dot, or be that of a split or "
                "of a system's folder; rename the class in the data set"
            )


def _document(
    data: FaceData, preprocessing: Preprocessing, report: PreparationReport, paths: tuple[str, ...]
) -> dict[str, Any]:
    recipe = Framing(
        preprocessing.face_finder,
        preprocessing.face_margin,
        preprocessing.face_finder_version,
        preprocessing.face_alignment,
    )
    faces = list(zip(paths, data.faces, strict=True))
    return {
        "data": printable(data.root.resolve().name),
        "format": data.origin or data.format,
        "class_names": [printable(name) for name in data.class_names],
        "preprocessing": preprocessing.to_dict(),
        "preparation": report.to_dict(),
        "without_face": list(map(printable, report.without_face)),
        "notes": [*data.notes, *framing_notes(data, preprocessing, training=False), *report.notes()],
        "sources": {printable(path): printable(face.name) for path, face in faces},
        **index_fields(
            data.framings if data.image_kind == "crops" else (recipe,),
            {path: face.subject for path, face in faces if face.subject is not None},
        ),
    }
