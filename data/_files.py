"""Access to folders and text files of a data set; every failure is a DataError that names the path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.errors import DataError, ImageError
from lnlattennet.images._decode import read_data_set_image

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_TOP_NAMES = 12
_SYSTEM_FOLDERS = frozenset(
    {
        "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@sharebin", "@tmp", "~snapshot",
        "$extend", "$recycle.bin", "found.000", "msdownld.tmp", "recycled", "recycler",
        "system volume information", "lost+found", "lost.dir", "network trash folder", "temporary items",
        "__macosx", "__pycache__",
    }
)  # fmt: skip
"""What Synology's, QNAP's and NetApp's boxes, Windows, Linux, Android, macOS and Python leave beside files.

Some hold images: `@eaDir` has thumbnails, and recycle bins have what was removed from the data set.
"""


@dataclass(frozen=True)
class Listing:
    """Entries directly in a folder: names in order.

    Attributes:
        folders: folders, without those of ``is_system_entry``.
        images: files with an image's suffix, without hidden ones.
        ignored: hidden entries (`.DS_Store`), folders of the system (`@eaDir`) and files of other kinds.
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
            if is_system_entry(entry.name):
                ignored.append(entry.name)
            elif _is_folder(entry):
                folders.append(entry.name)
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                images.append(entry.name)
            else:
                ignored.append(entry.name)
    return Listing(tuple(sorted(folders)), tuple(sorted(images)), tuple(sorted(ignored)))


def is_system_entry(name: str) -> bool:
    """Return whether an entry is hidden, or a folder that a system made for itself."""
    return name.startswith((".", "__MACOSX")) or name.casefold() in _SYSTEM_FOLDERS


def images_below(folder: Path) -> list[str]:
    """Return the images in a folder and the folders in it, relative to it, in order.

    Linked folders are followed, each folder once, so that a link to a folder above ends.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[str] = []
    seen: set[tuple[int, int]] = set()

    def walk(here: Path, above: str) -> None:
        with readable(here):
            status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        inside = listing(here)
        found.extend(above + name for name in inside.images)
        for name in inside.folders:
            walk(here / name, f"{above}{name}/")

    walk(folder, "")
    return found


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file, RGB uint8 [H, W, 3].

    Raises:
        ImageError: it is damaged, or no file: reading a FIFO or a device would never end.
    """
    if path.exists() and not path.is_file():
        raise ImageError(f"{printable(path)} is no file but a folder, FIFO, socket or device; move it away")
    return read_data_set_image(path)


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
        ("hidden entries, folders of the system, or files that are no images", files),
    )
    return tuple(f"ignored {len(found):,} {kind}: {first_few(found)}" for kind, found in kinds if found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a loop of links; if it is called like an image, reading it names it
        return False


def _names_in(folder: Path) -> frozenset[str]:
    if not folder.is_dir():
        return frozenset()
    with readable(folder), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)
