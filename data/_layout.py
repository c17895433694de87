"""What every module of a data set offers: its layouts, and one way to refuse a tree that is not whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import describe_folder, missing_files
from lnlattennet.data._records import SPLITS, Face, FaceData
from lnlattennet.errors import DataError

_FEW = 3


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way in which a data set lies on the disk.

    Attributes:
        name: what ``--format`` calls it.
        summary: one line for people.
        tree: what a whole tree looks like, relative to the folder that is given.
        load: reads the labels, checks that every image is there, decodes none; raises DataError.
        detects: whether a folder looks like this layout, whole or not; None if it must be asked for.
        published: faces per split of the published set, where known.
    """

    name: str
    summary: str
    tree: str
    load: Callable[[Path], FaceData]
    detects: Callable[[Path], bool] | None = None
    published: Mapping[str | None, int] = field(default_factory=dict)


def refusal(path: Path, title: str, problem: str, tree: str, found: str = "") -> DataError:
    """Return the error for a wrong or half-unpacked tree: what was expected, and what was found.

    Args:
        path: what the user gave.
        title: the data set's name.
        problem: the rule that is broken and the value that breaks it.
        tree: what a whole tree looks like.
        found: what was found instead; by default what the folder holds at its top.
    """
    found = found or describe_folder(path)
    return DataError(
        f"{printable(path)} is no whole {title} tree: {problem}\n"
        f"expected:\n{indented(tree)}\nfound:\n{indented(found)}\n"
        "Unpack the whole data set again, give the folder that holds this tree, or choose another --format."
    )


@contextmanager
def refuse_with_counts(
    path: Path, title: str, tree: str, class_names: Sequence[str], faces: Iterable[Face]
) -> Iterator[None]:
    """Turn a DataError met while labels are read into a refusal that counts what was read so far.

    Args:
        path: what the user gave.
        title: the data set's name.
        tree: what a whole tree looks like.
        class_names: expressions in the order of the labels.
        faces: what has been read; looked at only after an error, so that it may grow until then.
    """
    try:
        yield
    except DataError as error:
        found = _found(path, "read so far", class_names, faces)
        raise refusal(path, title, str(error), tree, found) from error


def require_images(path: Path, title: str, data: FaceData, tree: str, list_name: str) -> None:
    """Refuse a tree that lacks images which its list names.

    Raises:
        DataError: with the number of missing images, the first of them, and what was found per class.
    """
    missing = set(missing_files(data.root, (face.name for face in data.faces)))
    if not missing:
        return
    names = [face.name for face in data.faces if face.name in missing]
    present = [face for face in data.faces if face.name not in missing]
    problem = (
        f"{list_name} names {len(data):,} images, {len(names):,} of them missing, first: {first_few(names)}"
    )
    raise refusal(path, title, problem, tree, _found(path, "images", data.class_names, present))


def require_classes(path: Path, title: str, data: FaceData, tree: str, splits: Sequence[str | None]) -> None:
    """Refuse a tree in which one of ``splits`` has no image of a class.

    Raises:
        DataError: with the empty classes and the number of images of every other one.
    """
    used = {(face.split, face.label) for face in data.faces}
    for split in splits:
        empty = [name for label, name in enumerate(data.class_names) if (split, label) not in used]
        if empty:
            found = _found(path, "images", data.class_names, data.faces)
            where = f" in {split}" if split else ""
            raise refusal(path, title, f"no image of {', '.join(empty)}{where}", tree, found)


def counts_text(class_names: Sequence[str], faces: Iterable[Face]) -> str:
    """Return one line per split: how many faces of each class."""
    counts: dict[str | None, Counter[int]] = {}
    for face in faces:
        counts.setdefault(face.split, Counter())[face.label] += 1
    lines = [
        f"{split or 'no split'}: "
        + ", ".join(f"{name} {counts[split][i]}" for i, name in enumerate(class_names))
        for split in ordered_splits(counts)
    ]
    return "\n".join(lines) or "none"


def _found(path: Path, heading: str, class_names: Sequence[str], faces: Iterable[Face]) -> str:
    return f"{describe_folder(path)}\n{heading}:\n{counts_text(class_names, faces)}"


def ordered_splits(splits: Iterable[str | None]) -> list[str | None]:
    """Return splits in their usual order: train, val, test, and faces without one last."""
    return sorted(splits, key=lambda split: SPLITS.index(split) if split else len(SPLITS))


def first_few(names: Sequence[str]) -> str:
    """Return the first names, and that there are more."""
    return ", ".join(printable(name) for name in names[:_FEW]) + (", ..." if len(names) > _FEW else "")


def size_notes(layout: Layout, data: FaceData) -> tuple[str, ...]:
    """Return a sentence for every split that has another size than the published data set."""
    held = Counter(face.split for face in data.faces)
    return tuple(
        f"{split or 'the data set'} has {held[split]:,} faces; as published it has {count:,}"
        for split, count in layout.published.items()
        if held[split] != count and (split is None) == (set(held) == {None})
    )


def indented(text: str) -> str:
    """Return the lines of ``text``, moved in by two spaces."""
    return "\n".join(f"  {line}" for line in text.strip("\n").splitlines())
