"""Table of a run: a folder with one Parquet file for each shard, and what the run was made of.

A part is written whole or not at all, under a name that its shard decides. So the parts that are there are
the shards that are done, and a shard that two workers score, since one was thought dead, is there once.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import fs

from lnlattennet._atomic import replace_file, sole_writer, try_folder
from lnlattennet._command import on_one_line
from lnlattennet.errors import DataError, UsageError
from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.tables._parts import MANIFEST, PART, part_name
from lnlattennet.streams.tables._writing import write_parquet

_DRAFT = ".part-"


@dataclass(frozen=True)
class Manifest:
    """What a table is made of; a run may only go on with a table of the same.

    Attributes:
        version: of this package.
        model_hash: of the engine.
        preprocessing_id: of the bundle.
        source_digest: ``Plan.digest``.
        shards: their number.
        column: column with the images of Parquet files.
        max_faces: faces of an image, at most; None for the largest.
        min_face: pixels below which a face is too small.
    """

    version: str
    model_hash: str
    preprocessing_id: str
    source_digest: str
    shards: int
    column: str
    max_faces: int | None
    min_face: float


_WHAT = {
    "version": "another version of lnlattennet",
    "model_hash": "another model (--bundle, --engine)",
    "preprocessing_id": "another preprocessing (--bundle)",
    "source_digest": "other images, or by another --shard",
    "shards": "another number of shards",
    "column": "another --column",
    "max_faces": "another --max-faces",
    "min_face": "another --min-face",
}
_DIGESTS = ("model_hash", "preprocessing_id", "source_digest")
"""Fields whose values say nothing to people."""


@dataclass(frozen=True)
class Output:
    """Folder with the parts of a table, on a file system that every worker reaches.

    Attributes:
        place: the folder.
        columns: of the rows.
    """

    place: Place
    columns: Columns

    @contextmanager
    def claimed(self, manifest: Manifest, resume: bool) -> Iterator[frozenset[int]]:
        """Let this run alone write here for the length of a ``with`` block; yield the shards that are done.

        A block that fails before a part is written leaves nothing.

        Args:
            manifest: what this run makes the table of.
            resume: go on with the table if there is one.

        Raises:
            DataError: what tells of the table that is there is damaged.
            UsageError: there is something, and it is not to be gone on with, or was made of something else;
                or another run writes here.
            OSError: nothing can be written here.
        """
        lock = sole_writer(Path(self.place.inner), UsageError) if self.place.is_local else nullcontext()
        with lock:
            names = self._names()
            if names is None or not names:
                if self.place.is_local:
                    try_folder(Path(self.place.inner))
                self.place.filesystem.create_dir(self.place.inner_bytes, recursive=True)
                self._put(MANIFEST, json.dumps(dataclasses.asdict(manifest), indent=2).encode())
                try:
                    yield frozenset()
                except BaseException:
                    self._leave_nothing(new=names is None)
                    raise
                return
            self._require_same(manifest, names, resume)
            for name in names:
                if name.startswith(_DRAFT):
                    self.place.filesystem.delete_file((self.place / name).inner_bytes)
            yield frozenset(int(match[1]) for name in names if (match := PART.fullmatch(name)))

    def _leave_nothing(self, new: bool) -> None:
        """Give up the claim of a run that wrote no part; ``new`` is whether it made the folder, too."""
        # What went wrong before counts, not that the same store cannot be cleaned up either.
        with suppress(OSError):
            if self._names() == [MANIFEST]:
                self.place.filesystem.delete_file((self.place / MANIFEST).inner_bytes)
                if new:
                    self.place.filesystem.delete_dir(self.place.inner_bytes)

    def require_reached(self) -> None:
        """Raise UsageError if this machine does not see the folder that another one has claimed."""
        info = self.place.filesystem.get_file_info((self.place / MANIFEST).inner_bytes)
        if info.type != fs.FileType.File:
            raise UsageError(
                f"{on_one_line(self.place.name)} is another folder on a node than where the run was started: "
                "take a file system that every node mounts, or an object store"
            )

    def write(self, shard: int, rows: Sequence[Row]) -> None:
        """Write the part of a shard, as one that is there already or anew."""
        buffer = pyarrow.BufferOutputStream()
        write_parquet(buffer, self.columns, rows)
        self._put(part_name(shard), buffer.getvalue())

    def missing(self, shards: int) -> list[int]:
        """Return the shards whose part is not there."""
        names = set(self._names() or ())
        return [shard for shard in range(shards) if part_name(shard) not in names]

    def _names(self) -> list[str] | None:
        """Return the names in the folder; None if there is none."""
        info = self.place.filesystem.get_file_info(self.place.inner_bytes)
        if info.type == fs.FileType.NotFound:
            return None
        if info.type != fs.FileType.Directory:
            raise UsageError(
                f"{on_one_line(self.place.name)} is a file; the table is a folder of Parquet files: choose "
                "another place"
            )
        return [
            entry.base_name
            for entry in self.place.filesystem.get_file_info(fs.FileSelector(self.place.inner_bytes))
        ]

    def _require_same(self, manifest: Manifest, names: list[str], resume: bool) -> None:
        name = on_one_line(self.place.name)
        if MANIFEST not in names:
            raise UsageError(f"{name} holds other files, and no table of this command: choose another place")
        if not resume:
            raise UsageError(f"{name} is there already: go on with it by --resume, or choose another place")
        with self.place.filesystem.open_input_stream((self.place / MANIFEST).inner_bytes) as stream:
            try:
                found: dict[str, Any] = json.loads(stream.read())
            except ValueError as error:
                raise DataError(f"{name}/{MANIFEST} is damaged: {error}; choose another place") from error
        for field, value in dataclasses.asdict(manifest).items():
            if found.get(field) != value:
                values = "" if field in _DIGESTS else f" ({found.get(field)!r}, now {value!r})"
                raise UsageError(
                    f"--resume: {name} was made by {_WHAT[field]}{values}: run with what made it, or choose "
                    "another place"
                )

    def _put(self, name: str, data: bytes | pyarrow.Buffer) -> None:
        """Write a file that appears whole or not at all."""
        target = self.place / name
        if self.place.is_local:
            with replace_file(Path(target.inner)) as file:
                file.write_bytes(data)
            return
        # An object appears when its upload is complete; other file systems show a file that grows.
        stores = isinstance(self.place.filesystem, fs.S3FileSystem | fs.GcsFileSystem)
        draft = target if stores else self.place / f".{name}.{secrets.token_hex(4)}"
        with self.place.filesystem.open_output_stream(draft.inner_bytes) as stream:
            stream.write(data)
        if draft is not target:
            self.place.filesystem.move(draft.inner_bytes, target.inner_bytes)
