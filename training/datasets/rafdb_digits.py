"""Mirrors of RAF-DB whose class folders are bare digits: two orders are in use, so one must be named."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lnlattennet.command import printable
from lnlattennet.errors import DataError
from lnlattennet.training.datasets import rafdb
from lnlattennet.training.datasets.class_folders import class_tree
from lnlattennet.training.datasets.files import ignored_notes
from lnlattennet.training.datasets.layout import Layout, refusal, require_classes
from lnlattennet.training.datasets.pictures import PictureFiles
from lnlattennet.training.datasets.records import FaceData

ORDERS = {
    "rafdb-digits": (1, rafdb.CLASS_NAMES),
    "rafdb-digits0": (0, ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")),
}
"""Format -> the first digit and the classes from there on."""


def expected(name: str) -> str:
    """Return what a whole tree of the format ``name`` looks like."""
    first, classes = ORDERS[name]
    meaning = ", ".join(f"{digit} {expression}" for digit, expression in enumerate(classes, first))
    return f"train/{first}/*, ... train/{first + 6}/*   {meaning}\ntest/{first}/*, ... test/{first + 6}/*"


def digits_at(path: Path) -> set[str]:
    """Return the names of the class folders if all are digits, else nothing."""
    names = class_tree(path).names()
    return names if all(name.isdecimal() for name in names) else set()


def ambiguity(path: Path, digits: set[str]) -> DataError:
    """Return the error for digits whose meaning nobody has named."""
    orders = "\n".join(
        f"  --format {name}: "
        + ", ".join(f"{digit} {expression}" for digit, expression in enumerate(classes, first))
        for name, (first, classes) in ORDERS.items()
    )
    return DataError(
        f"the class folders of {printable(path)} are bare digits ({', '.join(sorted(digits, key=int))}), "
        f"and more than one order of expressions is in use; say which this is:\n{orders}\n"
        "  --format folder: some other data, whose classes are called by their digits"
    )


def load(path: Path, name: str) -> FaceData:
    """Read the folders train and test with the classes in the order ``name``.

    Raises:
        DataError: other folders, or a class or split without pictures.
    """
    first, classes = ORDERS[name]
    tree = class_tree(path)
    labels = {str(first + label): label for label in range(len(classes))}
    found = tree.counts()
    for split in ("train", "test"):
        here = {folder.name for folder in tree.folders if folder.split == split}
        if here != set(labels):
            problem = f"{split} must have the folders {first} to {first + 6}, has {_or_none(here)}"
            raise refusal(path, "RAF-DB", problem, expected(name), found)
    faces = tree.faces(labels)
    data = FaceData(name, path, classes, faces, PictureFiles(path), ignored_notes(tree.ignored))
    require_classes(path, "RAF-DB", data, expected(name), ("train", "test"))
    return data


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
