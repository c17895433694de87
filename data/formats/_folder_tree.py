"""Users' own data: a folder per class, with or without folders of splits above."""

from __future__ import annotations

from collections.abc import Set
from difflib import get_close_matches
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import FaceData
from lnlattennet.data.formats import _ferplus
from lnlattennet.data.formats._class_folders import ClassTree, class_tree
from lnlattennet.data.formats._distinct_names import require_distinct_names
from lnlattennet.data.formats._rafdb_digits import require_named_order
from lnlattennet.model._class_names import class_names_problem

TREE = ExpectedTree(
    "folder",
    """\
train/CLASS/*, val/CLASS/*, test/CLASS/*    any of the splits, any class names
CLASS/*                                     or without splits""",
)

_OTHER_NAMES = {"angry": "anger", "happy": "happiness", "sad": "sadness", "surprised": "surprise"}
_PUBLISHED_NAMES = {name: name for name in _ferplus.CLASS_NAMES} | _OTHER_NAMES


def detect(path: Path) -> bool:
    """Return whether there is a folder of a class with images in it.

    Raises:
        DataError: splits are beside other folders, or the classes are bare digits.
    """
    tree = class_tree(path)
    if not any(folder.images for folder in tree.folders):
        return False
    require_named_order(tree, path)
    return True


def has_classes(path: Path) -> bool:
    """Return whether at least two folders of classes have images."""
    return len({folder.name for folder in class_tree(path).folders if folder.images}) > 1


def load(path: Path, known: Set[str] = frozenset()) -> FaceData:
    """Read class folders; the classes are their names in alphabetical order.

    Files ``known`` at the top are ignored without a note.

    Raises:
        DataError: fewer than two classes, a class without any image, or names that differ in case only.
    """
    tree = class_tree(path)
    names = sorted(tree.names())
    _check_names(path, tree, names)
    faces = tree.faces({name: label for label, name in enumerate(names)})
    notes = (
        *ignored_notes(set(tree.ignored) - known),
        *_gaps(tree, names),
        *_other_names(names),
        *_spaces(names),
        *_untrainable(names),
    )
    return FaceData("folder", path, tuple(names), faces, notes=notes)


def _check_names(path: Path, tree: ClassTree, names: list[str]) -> None:
    if len(names) < 2:
        problem = f"it needs at least two folders of classes, has {len(names)}"
        raise TREE.error(path, problem)
    filled = {folder.name for folder in tree.folders if folder.images}
    empty = [printable(name) for name in names if name not in filled]
    if empty:
        raise TREE.error(path, f"no image of {', '.join(empty)}", tree.counts())
    require_distinct_names(path, names)


def _gaps(tree: ClassTree, names: list[str]) -> tuple[str, ...]:
    filled = {(folder.split, folder.name) for folder in tree.folders if folder.images}
    return tuple(
        f"{split} has no image of {printable(name)}"
        for split in tree.splits()
        for name in names
        if (split, name) not in filled
    )


def _spaces(names: list[str]) -> tuple[str, ...]:
    odd = [repr(printable(name)) for name in names if name != " ".join(name.split())]
    if not odd:
        return ()
    return (
        f"these classes have spaces that do not show, at an end or two in a row: {', '.join(odd)}; rename "
        "the folders, or models and other data will not match them",
    )


def _untrainable(names: list[str]) -> tuple[str, ...]:
    problem = class_names_problem(names)
    return (f"no network can be trained on these classes: {problem}; rename its folder",) if problem else ()


def _other_names(names: list[str]) -> tuple[str, ...]:
    others = {
        name: published for name in names if (published := _published(name)) not in (None, name.lower())
    }
    if not others:
        return ()
    renamed = ", ".join(f"{printable(name)} ({published})" for name, published in others.items())
    return (
        f"these classes have another name in the published data sets: {renamed}; rename the folders if "
        "models are to be evaluated on both",
    )


def _published(name: str) -> str | None:
    """Return what the published data sets call a class, also if its name is misspelled a little."""
    # Another beginning is another word: unhappiness.
    known = [one for one in _PUBLISHED_NAMES if one[0] == name[0].lower()]
    alike = get_close_matches(name.lower(), known, n=1, cutoff=0.85)
    return _PUBLISHED_NAMES[alike[0]] if alike else None


FORMATS = (DatasetFormat("folder", "a folder per class, any names", TREE, "mixed", load, detect),)
