"""Access to folders and text files of a data set; every failure is a DataError that names the path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_TOP_NAMES = 12


@dataclass(frozen=True)
class Listing:
    """Entries directly in a folder: names in order.

    Attributes:
        folders: visible folders.
        images: visible files with an image's suffix.
        ignored: hidden entries (`.DS_Store`, `__MACOSX`) and files of other kinds.
    """

    folders: tuple[str, ...]
    images: tuple[str, ...]
    ignored: tuple[str, ...]


def listing(folder: Path) -> Listing:
    """List a folder.

    Raises:
        DataError: it is missing, no folder, or cannot be read.
    """
    folders, images, ignored = [], [], []
    with readable(folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__MACOSX")):
                ignored.append(entry.name)
            elif entry.is_dir():
                folders.append(entry.name)
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                images.append(entry.name)
            else:
                ignored.append(entry.name)
    return Listing(tuple(sorted(folders)), tuple(sorted(images)), tuple(sorted(ignored)))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file.

    Raises:
        DataError: it is missing, unreadable, or not UTF-8 text.
    """
    with readable(path):
        try:
            return path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{printable(path)} is not a UTF-8 text file: {error}; unpack it again"
            ) from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an OSError about ``path`` into a DataError that names it."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def missing_files(root: Path, names: Iterable[str]) -> list[str]:
    """Return those of ``names``, relative to ``root``, that do not exist; each folder is listed once."""
    present: dict[str, frozenset[str]] = {}
    missing = []
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder not in present:
            present[folder] = _names_in(root / folder)
        if file not in present[folder]:
            missing.append(name)
    return missing


def describe_folder(path: Path) -> str:
    """Return the top entries of a folder, a line per folder with the number of its entries."""
    if not path.is_dir():
        return f"a file of {path.stat().st_size:,} bytes" if path.is_file() else "nothing"
    here = listing(path)
    lines = [f"{printable(name)}/  ({len(_names_in(path / name)):,} entries)" for name in here.folders]
    lines = lines[:_TOP_NAMES] + ([f"... {len(lines):,} folders"] if len(lines) > _TOP_NAMES else [])
    files = [*here.images, *here.ignored]
    if files:
        shown = ", ".join(printable(name) for name in files[:_TOP_NAMES])
        lines.append(f"{len(files):,} files: {shown}{', ...' if len(files) > _TOP_NAMES else ''}")
    return "\n".join(lines) or "an empty folder"


def first_few(names: Sequence[str]) -> str:
    """Return the first three names, and ", ..." if there are more."""
    return ", ".join(map(printable, names[:3])) + (", ..." if len(names) > 3 else "")


def ignored_notes(ignored: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each kind of ignored entry."""
    names = sorted(ignored)
    folders = [name for name in names if name.endswith("/")]
    files = [name for name in names if not name.endswith("/")]
    kinds = (
        ("folders inside folders of images; no image in them is read", folders),
        ("hidden files or files that are no images", files),
    )
    return tuple(f"ignored {len(found):,} {kind}: {first_few(found)}" for kind, found in kinds if found)


def _names_in(folder: Path) -> frozenset[str]:
    if not folder.is_dir():
        return frozenset()
    with readable(folder), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)
