"""Format of a data set: its name, what it expects on the disk, and the function that reads its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet.data._records import FaceData
from lnlattennet.data._tree import ExpectedTree


@dataclass(frozen=True)
class DatasetFormat:
    """One way in which a data set lies on the disk.

    Attributes:
        name: value of ``--format``.
        summary: one line for people.
        tree: the complete tree.
        load: reads the labels, checks that every image is there, decodes none; raises DataError.
        detect: whether a path looks like this format, complete or not; None if only ``--format`` chooses it.
        published: faces per split of the published data set, where known.
        is_file: whether the data set may be a single file.
    """

    name: str
    summary: str
    tree: ExpectedTree
    load: Callable[[Path], FaceData]
    detect: Callable[[Path], bool] | None = None
    published: Mapping[str | None, int] = field(default_factory=dict)
    is_file: bool = False

    def size_notes(self, data: FaceData) -> tuple[str, ...]:
        """Return a sentence for every split that has another size than the published data set."""
        sizes = Counter(face.split for face in data.faces)
        return tuple(
            f"{split or 'the data set'} has {sizes[split]:,} faces; as published it has {count:,}"
            for split, count in self.published.items()
            if sizes[split] != count and (split is None) == (set(sizes) == {None})
        )
