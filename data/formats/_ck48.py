"""CK+48: the last three frames of CK+'s labeled sequences, cropped to 48x48, a folder per class."""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._class_folders import ClassTree, class_tree, class_tree_or_none

CLASS_NAMES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

TREE = ExpectedTree(
    "CK+48",
    """\
anger/S010_004_00000017.png        the same in contempt, disgust, fear, happy (or happiness), sadness,
                                   surprise; all of it may lie in a folder CK+48""",
)

_ROOT = "CK+48"
_FOLDERS = {name: label for label, name in enumerate(CLASS_NAMES)} | {"happy": 4}
_NAME = re.compile(r"(S\d{3})_\d{3}_\d{8}\.png", re.IGNORECASE)


def detect(path: Path) -> bool:
    """Return whether it is called CK+48, or its folders like the classes, and names have a subject."""
    if (path / _ROOT).is_dir():
        return True
    tree = class_tree_or_none(path)
    if tree is None or not any(map(_subject, _images(tree))):
        return False
    return path.absolute().name == _ROOT or tree.names() <= set(_FOLDERS)


def load(path: Path) -> FaceData:
    """Read the class folders; the first part of an image's name is the subject.

    Raises:
        DataError: other folders, names without a subject, or a class without images.
    """
    root = path / _ROOT if (path / _ROOT).is_dir() else path
    tree = class_tree(root)
    if not tree.names() <= set(_FOLDERS) or tree.splits() not in ([], [None]):
        unknown = ", ".join(map(printable, sorted(tree.names() - set(_FOLDERS)))) or "splits"
        raise TREE.error(root, f"unknown folders: {unknown}")
    nameless = [name for name in _images(tree) if _subject(name) is None]
    if nameless:
        first = printable(nameless[0])
        problem = f"{len(nameless):,} images have no subject in their name, first: {first}"
        raise TREE.error(root, problem)
    faces = tuple(
        Face(face.name, face.label, subject=_subject(face.name.rpartition("/")[2]))
        for face in tree.faces(_FOLDERS)
    )
    data = FaceData("ck48", root, CLASS_NAMES, faces, notes=ignored_notes(tree.ignored))
    TREE.require_classes(data, (None,))
    return data


def _images(tree: ClassTree) -> list[str]:
    return [name for folder in tree.folders for name in folder.images]


def _subject(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match.group(1).upper() if match else None


FORMATS = (
    DatasetFormat(
        "ck48", "CK+48, 48x48 images of CK+ in class folders", TREE, "crops", load, detect, {None: 981}
    ),
)
