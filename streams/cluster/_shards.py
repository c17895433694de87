"""Shards of a run: which images belong together, in an order that is the same whenever they are listed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow
import pyarrow.parquet
from pyarrow import fs

from lnlattennet._command import counted, on_one_line
from lnlattennet.errors import DataError, UsageError
from lnlattennet.images._decode import FILE_SUFFIXES
from lnlattennet.streams.cluster._place import Place

Kind = Literal["images", "parquet", "tar"]

_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True)
class Shard:
    """Images that one worker scores at a time, into one part of the table.

    Attributes:
        kind: whether the files are images, or one is a Parquet or a tar file of images.
        root: source that the files were found in.
        files: their paths relative to it; "" for the source itself.
        rows: first row of the Parquet file, and the one behind the last; None for all.
    """

    kind: Kind
    root: Place
    files: tuple[str, ...]
    rows: tuple[int, int] | None = None

    def places(self) -> list[Place]:
        """Return where the files are."""
        return [self.root / name if name else self.root for name in self.files]

    @property
    def name(self) -> str:
        """First and last file, for messages."""
        first, *_, last = (place.name for place in (self.places()[0], self.places()[-1]))
        rows = f" rows {self.rows[0]} to {self.rows[1] - 1}" if self.rows else ""
        return on_one_line(first if first == last else f"{first} to {last}") + rows


@dataclass(frozen=True)
class Plan:
    """All shards of a run.

    Attributes:
        shards: in the order of the table.
        digest: SHA-256 of the names and sizes of all files, and of where the shards begin.
        others: files of other kinds that the sources hold.
    """

    shards: tuple[Shard, ...]
    digest: str
    others: int


@dataclass(frozen=True)
class _File:
    root: Place
    name: str
    size: int

    @property
    def place(self) -> Place:
        return self.root / self.name if self.name else self.root

    @property
    def kind(self) -> Kind | None:
        path = PurePosixPath((self.name or self.root.path).lower())
        if path.suffix in FILE_SUFFIXES:
            return "images"
        if path.suffix == ".parquet":
            return "parquet"
        return "tar" if path.suffix in (".tar", ".tgz") or path.name.endswith(".tar.gz") else None


def plan_shards(sources: Sequence[Place], images: int, column: str) -> Plan:
    """List the sources and divide what they hold.

    Args:
        sources: image files, Parquet files and tar files, and folders of them.
        images: images of a shard, at most. A tar file is one shard: how many it holds is in no place.
        column: column with the images of Parquet files.

    Raises:
        DataError: a source is missing, or there are no images in any of them.
        UsageError: a source is a file of another kind, or a Parquet file has no such column.
        OSError: a source cannot be listed.
    """
    files = [file for source in sources for file in _list(source)]
    known = [file for file in files if file.kind]
    digest, shards = hashlib.sha256(), []
    for shard, size in _divide(known, images, column):
        digest.update(f"{shard.kind}\0{shard.root.name}\0{shard.files}\0{shard.rows}\0{size}\n".encode())
        shards.append(shard)
    if not shards:
        names = ", ".join(on_one_line(source.name) for source in sources)
        raise DataError(
            f"{names}: no image among {counted(len(files), 'file')}; images end in "
            f"{', '.join(sorted(FILE_SUFFIXES))}, tables of images in .parquet, WebDataset shards in .tar"
        )
    return Plan(tuple(shards), digest.hexdigest(), len(files) - len(known))


def _list(source: Place) -> list[_File]:
    info = source.filesystem.get_file_info(source.inner_bytes)
    if info.type == fs.FileType.File:
        file = _File(source, "", info.size)
        if file.kind is None:
            raise UsageError(
                f"{on_one_line(source.name)} is no image, Parquet or tar file by its ending; give it the one "
                "of what it holds"
            )
        return [file]
    if info.type == fs.FileType.NotFound:
        raise DataError(f"there is no file or folder {on_one_line(source.name)}; check the path")
    if source.is_local:
        return sorted(_walk(source, ""), key=lambda file: file.name)
    # An object store lists a prefix in one go.
    found = source.filesystem.get_file_info(fs.FileSelector(source.inner_bytes, recursive=True))
    inside = source.inner.rstrip("/") + "/"
    files = [
        _File(source, entry.path.removeprefix(inside), entry.size)
        for entry in found
        if entry.type == fs.FileType.File
    ]
    shown = [file for file in files if not any(part.startswith(".") for part in file.name.split("/"))]
    return sorted(shown, key=lambda file: file.name)


def _walk(source: Place, below: str, parents: tuple[Path, ...] = ()) -> Iterator[_File]:
    """Yield the files of a folder of this machine but hidden ones, links followed but not in circles."""
    folder = Path(source.inner, below)
    real = folder.resolve()
    if real in parents:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(source, f"{name}/", (*parents, real))
            else:
                # A link to nowhere is a row that says so.
                yield _File(source, name, entry.stat().st_size if entry.is_file() else -1)


def _divide(files: list[_File], images: int, column: str) -> Iterator[tuple[Shard, int]]:
    """Yield shards, with the bytes of their files: neighbors of one kind and source are kept together."""
    for (root, kind), group in groupby(files, lambda file: (file.root, file.kind)):
        together = list(group)
        if kind == "images":
            for start in range(0, len(together), images):
                some = together[start : start + images]
                yield Shard(kind, root, tuple(file.name for file in some)), sum(file.size for file in some)
        elif kind == "tar":
            for file in together:
                yield Shard(kind, root, (file.name,)), file.size
        else:
            with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
                counts = list(pool.map(lambda file: _rows(file, column), together))
            for file, rows in zip(together, counts, strict=True):
                for part in _row_ranges(rows, images):
                    yield Shard("parquet", root, (file.name,), part), file.size


def _row_ranges(rows: int | None, images: int) -> list[tuple[int, int] | None]:
    if rows is None:
        return [None]
    return [(start, min(start + images, rows)) for start in range(0, rows, images)]


def _rows(file: _File, column: str) -> int | None:
    """Return the number of rows of a Parquet file; None if it is damaged, which the worker will tell."""
    try:
        with file.place.filesystem.open_input_file(file.place.inner_bytes) as stream:
            parquet = pyarrow.parquet.ParquetFile(stream)
            names = parquet.schema_arrow.names
            count = int(parquet.metadata.num_rows)
    except (OSError, pyarrow.ArrowException):
        return None
    if column not in names:
        raise UsageError(
            f"{on_one_line(file.place.name)} has no column {column!r}; it has "
            f"{', '.join(on_one_line(name) for name in names)}: choose one with --column"
        )
    return count
