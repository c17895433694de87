"""Format of a data set: expected folder tree, errors for an incomplete one, and label reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import describe_folder, find_files, first_few
from lnlattennet.data._records import Face, FaceData, Framing, ImageKind, count_faces, ordered_splits
from lnlattennet.errors import DataError


@dataclass(frozen=True)
class ExpectedTree:
    """Folder tree that a data set's format expects.

    Attributes:
        title: the data set's name in messages.
        text: the tree in human-readable form, relative to the data set's folder.
    """

    title: str
    text: str

    def error(self, path: Path, problem: str, found: str = "") -> DataError:
        """Return the error for a wrong or incomplete tree, with the expected and the found one.

        Args:
            path: path that the user gave.
            problem: the broken rule and the value that breaks it.
            found: description of the found tree; default: the entries at the top of the folder.
        """
        return DataError(
            f"{printable(path)} is not a complete {self.title} data set: {problem}\n"
            f"expected:\n{indented(self.text)}\nfound:\n{indented(found or describe_folder(path))}\n"
            "Unpack the whole data set again, give the folder that holds this tree, or choose another "
            "--format."
        )

    @contextmanager
    def count_on_error(self, path: Path, class_names: Sequence[str], faces: Iterable[Face]) -> Iterator[None]:
        """Turn a DataError met while labels are read into one that counts what was read so far.

        Args:
            path: path that the user gave.
            class_names: expressions in the order of the labels.
            faces: faces read so far; iterated after an error only, so that it may grow until then.
        """
        try:
            yield
        except DataError as error:
            raise self.error(path, str(error), _found(path, "read so far", class_names, faces)) from error

    def with_images(self, data: FaceData, list_name: str) -> FaceData:
        """Return ``data`` with its images' names as on the disk (``find_files``), and a note on others.

        Raises:
            DataError: images are missing that the list ``list_name`` names; with counts.
        """
        found = find_files(data.root, (face.name for face in data.faces))
        missing = [face.name for face in data.faces if face.name not in found]
        if missing:
            present = [face for face in data.faces if face.name in found]
            problem = (
                f"{list_name} names {len(data):,} images, {len(missing):,} of them missing, "
                f"first: {first_few(missing)}"
            )
            raise self.error(data.root, problem, _found(data.root, "images", data.class_names, present))
        others = [face.name for face in data.faces if found[face.name] != face.name]
        if not others:
            return data
        note = (
            f"{len(others):,} images have another case or ending than {list_name} gives them, first: "
            f"{printable(others[0])} is {printable(found[others[0]].rpartition('/')[2])}"
        )
        faces = tuple(replace(face, name=found[face.name]) for face in data.faces)
        return replace(data, faces=faces, notes=(*data.notes, note))

    def require_classes(self, data: FaceData, splits: Iterable[str | None]) -> None:
        """Raise a DataError with counts if one of ``splits`` has no image of a class."""
        used = {(face.split, face.label) for face in data.faces}
        for split in splits:
            empty = [name for label, name in enumerate(data.class_names) if (split, label) not in used]
            if empty:
                found = _found(data.root, "images", data.class_names, data.faces)
                where = f" in {split}" if split else ""
                raise self.error(data.root, f"no image of {', '.join(empty)}{where}", found)


@dataclass(frozen=True)
class DatasetFormat:
    """Layout of a data set on the disk, and the function that reads its labels.

    Attributes:
        name: value of ``--format``.
        summary: description in one line.
        tree: the complete tree.
        faces: what its images show: face crops, whole photographs, or some of each.
        load: reads the labels, checks that every image is there, decodes none; raises DataError.
        load_probability: does so with targets that keep the votes; None where no votes are published.
        detect: whether a path looks like this format, complete or not.
        named_only: whether only ``--format`` chooses it: its tree is another format's too.
        license: the terms of its images, which weights trained on them inherit; "" where its own text is to
            be read.
        published: faces per split of the published data set, where known.
        is_file: whether the data set may be a single file.
        framings: how its face crops are framed, by finder, where it was measured.
    """

    name: str
    summary: str
    tree: ExpectedTree
    faces: ImageKind
    load: Callable[[Path], FaceData]
    detect: Callable[[Path], bool]
    published: Mapping[str | None, int] = field(default_factory=dict)
    is_file: bool = False
    named_only: bool = False
    framings: tuple[Framing, ...] = ()
    load_probability: Callable[[Path], FaceData] | None = None
    license: str = ""

    def size_notes(self, data: FaceData) -> tuple[str, ...]:
        """Return a sentence for every split that has another size than the published data set."""
        sizes = Counter(face.split for face in data.faces)
        return tuple(
            f"{split or 'the data set'} has {sizes[split]:,} faces; as published it has {count:,}"
            for split, count in self.published.items()
            if sizes[split] != count and (split is None) == (set(sizes) == {None})
        )


def indented(text: str) -> str:
    """Return the lines of ``text``, indented by two spaces."""
    return "\n".join(f"  {line}" for line in text.strip("\n").splitlines())


def _found(path: Path, heading: str, class_names: Sequence[str], faces: Iterable[Face]) -> str:
    """Return what the folder holds at its top, and one line per split: how many faces of each class."""
    counts = count_faces(faces)
    lines = [
        f"{split or 'no split'}: "
        + ", ".join(f"{name} {counts[split][label]}" for label, name in enumerate(class_names))
        for split in ordered_splits(counts)
    ]
    return f"{describe_folder(path)}\n{heading}:\n" + ("\n".join(lines) or "none")
