"""Mirrors of RAF-DB whose class folders are bare digits: two orders are in use, so one must be named."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes
from lnlattennet.data._layout import Layout, ordered_splits, refusal, require_classes
from lnlattennet.data._pictures import PictureFiles
from lnlattennet.data._records import FaceData
from lnlattennet.data.formats import _rafdb as rafdb
from lnlattennet.data.formats._class_folders import class_tree
from lnlattennet.errors import DataError

ORDERS = {
    "rafdb-digits": (1, rafdb.CLASS_NAMES),
    "rafdb-digits0": (0, ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")),
}
"""Format -> the first digit and the classes from there on."""


def expected(name: str) -> str:
    """Return what a whole tree of the format ``name`` looks like."""
    first, classes = ORDERS[name]
    meaning = ", ".join(f"{digit} {expression}" for digit, expression in enumerate(classes, first))
    folders = f"/{first}/*, ... {first + 6}/*"
    return f"train{folders}   {meaning}\ntest{folders}   and perhaps val{folders}"


def digits_at(path: Path) -> set[str]:
    """Return the class folders that are digits, if no other is there or they hold a whole known order."""
    names = class_tree(path).names()
    digits = {name for name in names if name.isdecimal()}
    return digits if digits == names or any(set(_labels(name)) <= digits for name in ORDERS) else set()


def ambiguity(path: Path, digits: set[str]) -> DataError:
    """Return the error for class folders among which are ``digits`` whose meaning nobody has named."""
    others = sorted(class_tree(path).names() - digits)
    beside = (
        f" beside others ({', '.join(map(printable, others))}), which are in neither order: move them away"
        if others
        else ""
    )
    orders = "\n".join(
        f"  --format {name}: "
        + ", ".join(f"{digit} {expression}" for digit, expression in enumerate(classes, first))
        for name, (first, classes) in ORDERS.items()
    )
    return DataError(
        f"the class folders of {printable(path)} are bare digits "
        f"({', '.join(sorted(digits, key=int))}){beside}; "
        f"more than one order of expressions is in use, so say which this is:\n{orders}\n"
        "  --format folder: some other data, whose classes are called by their digits"
    )


def load(path: Path, name: str) -> FaceData:
    """Read train and test, and val if it is there, with the classes in the order ``name``.

    Raises:
        DataError: other folders, or a class or split without images.
    """
    first, classes = ORDERS[name]
    tree = class_tree(path)
    labels = _labels(name)
    found = tree.counts()
    splits = ordered_splits({"train", "test", *tree.splits()})
    for split in splits:
        here = {folder.name for folder in tree.folders if folder.split == split}
        if here != set(labels):
            problem = f"{split} must have the folders {first} to {first + 6}, has {_or_none(here)}"
            raise refusal(path, "RAF-DB", problem, expected(name), found)
    faces = tree.faces(labels)
    data = FaceData(name, path, classes, faces, PictureFiles(path), ignored_notes(tree.ignored))
    require_classes(path, "RAF-DB", data, expected(name), splits)
    return data


def _labels(name: str) -> dict[str, int]:
    first, classes = ORDERS[name]
    return {str(first + label): label for label in range(len(classes))}


def _or_none(names: set[str]) -> str:
    return ", ".join(map(printable, sorted(names))) or "none"


LAYOUTS = tuple(
    Layout(
        name=name,
        summary=f"mirror of RAF-DB with folders {first} to {first + 6}",
        tree=expected(name),
        load=partial(load, name=name),
        published={"train": 12_271, "test": 3_068},
    )
    for name, (first, _) in ORDERS.items()
)
