"""Mirrors of RAF-DB with digits as class folders: two orders are in use, so ``--format`` must name one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import FaceData, ordered_splits
from lnlattennet.data.formats._class_folders import ClassTree, class_tree, class_tree_or_none
from lnlattennet.data.formats._rafdb import CLASS_NAMES
from lnlattennet.errors import DataError

ORDERS = {
    "rafdb-digits": (1, CLASS_NAMES),
    "rafdb-digits0": (0, ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")),
}
"""Format -> the first digit, and the classes from that digit on."""

_FEWEST = 5
"""With this many of the seven digits, a tree is an incomplete mirror."""


def _tree(name: str) -> ExpectedTree:
    """Return the complete tree of the format ``name``."""
    first, _ = ORDERS[name]
    meaning = _meaning(name)
    folders = f"/{first}/*, ... {first + 6}/*"
    return ExpectedTree(
        "RAF-DB",
        f"train{folders}   {meaning}\ntest{folders}   and perhaps val{folders}; val alone is read as test",
    )


def require_named_order(tree: ClassTree, path: Path) -> None:
    """Raise a DataError if the class folders are digits, or some of them are a whole known order."""
    names = tree.names()
    digits = {name for name in names if name.isdecimal()}
    if not digits or not (digits == names or any(set(_labels(name)) <= digits for name in ORDERS)):
        return
    others = sorted(names - digits)
    beside = (
        f" beside others ({', '.join(map(printable, others))}), which are in neither order: move them away"
        if others
        else ""
    )
    orders = "\n".join(f"  --format {name}: {_meaning(name)}" for name in ORDERS)
    raise DataError(
        f"the class folders of {printable(path)} are bare digits "
        f"({', '.join(sorted(digits, key=int))}){beside}; "
        f"more than one order of expressions is in use, so say which this is:\n{orders}\n"
        "  --format folder: some other data, whose classes are called by their digits"
    )


def detect(path: Path, name: str) -> bool:
    """Return whether there are splits whose class folders are most of the digits of the order ``name``."""
    tree = class_tree_or_none(path)
    return (
        tree is not None and None not in tree.splits() and len(tree.names() & set(_labels(name))) >= _FEWEST
    )


def load(path: Path, name: str) -> FaceData:
    """Read train and test, and val if it is there, with the classes in the order ``name``.

    The official split is train and test: where there is val but no test, val is the official test under
    another name, and is read as such.

    Raises:
        DataError: other folders, or a class or split without images.
    """
    first, classes = ORDERS[name]
    tree, notes = _with_test(class_tree(path))
    labels = _labels(name)
    splits = ordered_splits({"train", "test", *tree.splits()})
    for split in splits:
        here = {folder.name for folder in tree.folders if folder.split == split}
        if here != set(labels):
            names = ", ".join(map(printable, sorted(here))) or "none"
            problem = f"{split} must have the folders {first} to {first + 6}, has {names}"
            raise _tree(name).error(path, problem, tree.counts())
    faces = tree.faces(labels)
    data = FaceData(name, path, classes, faces, notes=(*notes, *ignored_notes(tree.ignored)))
    _tree(name).require_classes(data, splits)
    return data


def _with_test(tree: ClassTree) -> tuple[ClassTree, tuple[str, ...]]:
    if tree.splits() != ["train", "val"]:
        return tree, ()
    folders = tuple(
        replace(folder, split="test") if folder.split == "val" else folder for folder in tree.folders
    )
    name = next(folder.path.partition("/")[0] for folder in tree.folders if folder.split == "val")
    return replace(tree, folders=folders), (
        f"{name} is read as the test split: RAF-DB's official split is train and test, and there is no test; "
        "part of train is held out for validation",
    )


def _labels(name: str) -> dict[str, int]:
    first, classes = ORDERS[name]
    return {str(first + label): label for label in range(len(classes))}


def _meaning(name: str) -> str:
    first, classes = ORDERS[name]
    return ", ".join(f"{digit} {expression}" for digit, expression in enumerate(classes, first))


FORMATS = tuple(
    DatasetFormat(
        name,
        f"mirror of RAF-DB with folders {first} to {first + 6}",
        _tree(name),
        "crops",
        partial(load, name=name),
        partial(detect, name=name),
        named_only=True,
        published={"train": 12_271, "test": 3_068},
    )
    for name, (first, _) in ORDERS.items()
)
