"""RAF-DB, basic expressions: one list of labels, aligned faces and the original images.

Source: Li, Deng, Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from lnlattennet._command import printable
from lnlattennet.data._files import listing, read_lines
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData
from lnlattennet.errors import DataError

CLASS_NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""In the order of the labels 1 to 7."""

TREE = ExpectedTree(
    "RAF-DB",
    """\
EmoLabel/list_patition_label.txt        lines such as `train_00001.jpg 5`, labels 1 to 7
Image/aligned/train_00001_aligned.jpg   or, where aligned is missing or with --format rafdb-original:
Image/original/train_00001.jpg""",
)

# The archive spells it so.
_LIST = "EmoLabel/list_patition_label.txt"
_CORRECT_LIST = "EmoLabel/list_partition_label.txt"
_BETWEEN = r"[\s,;|\"']"
_LINE = re.compile(
    rf"{_BETWEEN}*(?:\d+{_BETWEEN}+)?(?:[\w.-]+[/\\])*(?P<stem>(?:train|test)_\w+?)(?:_aligned)?(?:\.\w+)?"
    rf"{_BETWEEN}+(?P<label>[1-7])(?:\.0*)?{_BETWEEN}*"
)
_NAME_END = {"aligned": "_aligned.jpg", "original": ".jpg"}
ImageKind = Literal["aligned", "original"]


def detect(path: Path) -> bool:
    """Return whether ``path`` has the list of labels or a folder of images, or is the folder ``Image``.

    That folder alone would otherwise be a user's own data with the classes aligned and original.
    """
    folder = path if path.resolve().name == "Image" else path / "Image"
    return _list_in(path) is not None or any((folder / kind).is_dir() for kind in _NAME_END)


def load(path: Path, kind: ImageKind) -> FaceData:
    """Read the list of labels; the prefix of a name gives the split.

    Raises:
        DataError: the list is missing or wrong, contradicts itself, or names images that are missing.
    """
    notes: tuple[str, ...] = ()
    if kind == "aligned" and not (path / "Image/aligned").is_dir() and (path / "Image/original").is_dir():
        kind = "original"
        notes = ("Image/aligned is missing: the original images are used, with more than the face on them",)
    faces, repeats = _read_list(path, kind)
    if repeats:
        notes = (*notes, f"left out {repeats:,} lines that list an image once more, with the same label")
    name = "rafdb" if kind == "aligned" else "rafdb-original"
    data = TREE.with_images(FaceData(name, path, CLASS_NAMES, faces, notes=notes), "the list")
    TREE.require_classes(data, ("train", "test"))
    return data


def _read_list(path: Path, kind: ImageKind) -> tuple[tuple[Face, ...], int]:
    """Return every listed face once, and the number of lines that repeat another."""
    faces: dict[str, Face] = {}
    lines: dict[str, int] = {}
    repeats = 0
    with TREE.count_on_error(path, CLASS_NAMES, faces.values()):
        for line, face in _listed(path, kind):
            if face.name not in faces:
                faces[face.name], lines[face.name] = face, line
            elif face == faces[face.name]:
                repeats += 1
            else:
                first = f"{_named(faces[face.name])} in line {lines[face.name]}"
                raise DataError(
                    f"{_LIST} must give {printable(face.name)} one label, gives {first} "
                    f"and {_named(face)} in line {line}; remove the wrong line"
                )
    return tuple(faces.values()), repeats


def _named(face: Face) -> str:
    return f"{face.label + 1} ({CLASS_NAMES[face.label]})"


def _listed(path: Path, kind: ImageKind) -> Iterator[tuple[int, Face]]:
    """Give every line's number and face.

    Between name and label there may be any delimiter, before them the line's number and above them a header.
    The name may have a folder before it, and the `_aligned` of the aligned images.
    """
    name = _list_in(path)
    if name is None:
        raise DataError(f"{_LIST} is missing")
    end = _name_end(path, kind)
    for number, line in enumerate(read_lines(path / name), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            if not line.strip() or (number == 1 and not any(map(str.isdigit, line))):
                continue
            rule = "a name that starts with train_ or test_, and a label from 1 to 7"
            raise DataError(f"line {number} of {name} must have {rule}, got {line!r}")
        file = f"Image/{kind}/{match['stem']}{end}"
        yield number, Face(file, int(match["label"]) - 1, match["stem"].partition("_")[0])


def _list_in(path: Path) -> str | None:
    return next((name for name in (_LIST, _CORRECT_LIST) if (path / name).is_file()), None)


def _name_end(path: Path, kind: ImageKind) -> str:
    """Return what follows a listed stem; some copies have given aligned images the names of the list."""
    images = listing(path / "Image" / kind).images if (path / "Image" / kind).is_dir() else ()
    renamed = images and not any(Path(name).stem.endswith("_aligned") for name in images)
    return _NAME_END["original" if renamed else kind]


_PUBLISHED: dict[str | None, int] = {"train": 12_271, "test": 3_068}
FORMATS = (
    DatasetFormat(
        "rafdb",
        "RAF-DB basic, aligned faces",
        TREE,
        "crops",
        partial(load, kind="aligned"),
        detect,
        _PUBLISHED,
    ),
    DatasetFormat(
        "rafdb-original",
        "RAF-DB basic, original images",
        TREE,
        "whole",
        partial(load, kind="original"),
        detect,
        named_only=True,
        published=_PUBLISHED,
    ),
)
