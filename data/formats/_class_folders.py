"""Trees `<split>/<class>/*` and `<class>/*`: mirrors of data sets, and users' own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import Listing, listing
from lnlattennet.data._records import SPLITS, Face, ordered_splits
from lnlattennet.errors import DataError

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "publictest": "val",
    "test": "test", "testing": "test", "privatetest": "test",
}  # fmt: skip
"""Folder name in lower case -> split; FER2013's own names are what its csv file is often unpacked to."""


@dataclass(frozen=True)
class ClassFolder:
    """Images of one class in one split; ``path`` is relative to the data set and ends in a slash."""

    split: str | None
    name: str
    path: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class ClassTree:
    """All class folders of a tree, and the entries that are not images."""

    folders: tuple[ClassFolder, ...]
    ignored: tuple[str, ...]

    def names(self) -> set[str]:
        """Return the names of the class folders."""
        return {folder.name for folder in self.folders}

    def splits(self) -> list[str | None]:
        """Return the splits in their usual order; [None] for a tree without."""
        return ordered_splits({folder.split for folder in self.folders})

    def faces(self, labels: Mapping[str, int]) -> tuple[Face, ...]:
        """Return every image as a face; ``labels`` gives the label of a class folder's name."""
        return tuple(
            Face(folder.path + image, labels[folder.name], folder.split)
            for folder in self.folders
            for image in folder.images
        )

    def counts(self) -> str:
        """Return one line per split: the class folders and how many images each has."""
        return "\n".join(
            f"{split or 'no split'}: "
            + ", ".join(
                f"{printable(folder.name)} {len(folder.images)}"
                for folder in self.folders
                if folder.split == split
            )
            for split in self.splits()
        )


def class_tree(path: Path) -> ClassTree:
    """List a tree of class folders; folders at the top that are named like splits are splits.

    Raises:
        DataError: splits and other folders side by side, or two folders that mean the same split.
    """
    top = listing(path)
    splits = [name for name in top.folders if name.lower() in SPLIT_NAMES]
    _check_splits(path, top, splits)
    folders: list[ClassFolder] = []
    ignored = [*top.ignored, *top.images]
    for name in sorted(splits, key=lambda name: SPLITS.index(_split(name))):
        inside = listing(path / name)
        ignored += [f"{name}/{file}" for file in (*inside.ignored, *inside.images)]
        folders += _class_folders(path, f"{name}/", inside.folders, _split(name), ignored)
    if not splits:
        folders = _class_folders(path, "", top.folders, None, ignored)
    return ClassTree(tuple(folders), tuple(ignored))


def class_tree_or_none(path: Path) -> ClassTree | None:
    """Return the tree of class folders, or None where ``path`` is something else: for detection."""
    try:
        return class_tree(path)
    except DataError:
        return None


def _split(name: str) -> str:
    return SPLIT_NAMES[name.lower()]


def _check_splits(path: Path, top: Listing, splits: Sequence[str]) -> None:
    others = [name for name in top.folders if name not in splits]
    if splits and others:
        raise DataError(
            f"{printable(path)} has folders of splits ({', '.join(splits)}) beside others "
            f"({', '.join(map(printable, others))}); a split is named {', '.join(SPLIT_NAMES)}: "
            "rename the others, or move them away"
        )
    if len({_split(name) for name in splits}) < len(splits):
        raise DataError(f"{printable(path)} has two folders for one split: {', '.join(splits)}; keep one")


def _class_folders(
    root: Path, above: str, names: Sequence[str], split: str | None, ignored: list[str]
) -> list[ClassFolder]:
    folders = []
    for name in names:
        inside = listing(root / above / name)
        folder = f"{above}{name}/"
        ignored += [folder + file for file in (*inside.ignored, *(f"{sub}/" for sub in inside.folders))]
        folders.append(ClassFolder(split, name, folder, inside.images))
    return folders
